/** What the API says in English, in Korean: a check's facts by their names (`dashboard/facts.py`), and short words of the history. */

const FACTS: Record<string, string> = {
  untracked: "아직 추적된 배치가 없음",
  working: "{all}대 중 {n}대",
  quorum: "정족수 {n}대",
  failing: "실패: {names}",
  dark: "어두움: {names}",
  clock_wrong: "시계가 틀림: {names}",
  out_of_pose: "자세가 틀어짐: {names}",
  no_word: "촬영 뒤 남긴 소식이 아직 없음",
  heard: "{time}에 소식",
  no_spool: "관측 서버에 스풀이 없음",
  wait: "{n}건 대기",
  wait_since: "{n}건 대기, 첫 건은 {minutes}분째",
  set_aside: "{n}건 따로 보관됨",
  publishes: "대기 중인 것을 올리고 있음",
  not_running: "실행되고 있지 않음",
  has_server: "모델 서버 있음",
  no_server: "모델 서버 없음",
  not_inferred: "최근 하루 동안 없음",
  tasks: "대기 {waiting}, 실행 {running}, 지연 {deferred}",
  unclaimed: "트리거 {n}개를 맡은 트리거러가 없음",
  waits_long: "가장 오래된 작업이 {minutes}분째 대기",
  unserved: "이 큐를 맡은 살아 있는 트리거러가 없음",
  free: "{gib} GiB 남음 ({share})",
  lasts: "10년 안에는 가득 차지 않음",
  full_in: "{days}일 뒤 가득 참",
};

const WORDS: Record<string, string> = {
  unreachable: "연결할 수 없음",
  "timed out": "시간 초과",
  "refused credentials": "로그인 거부",
  busy: "연결이 가득 참",
  "no snapshot service": "스냅샷 없음",
  "not an image": "사진이 아님",
  truncated: "사진이 잘림",
  "too large": "너무 큼",
  stale: "오래된 사진",
  "wrong size": "크기가 다름",
  "faulty reply": "잘못된 응답",
  "observer fault": "관측 서버의 문제",
  captured: "촬영까지만 됨",
  "capture failed": "촬영 실패",
  skipped: "건너뜀",
  inferred: "추론까지만 됨",
  "inference failed": "추론 실패",
  fused: "융합까지만 됨",
  "fusion failed": "융합 실패",
  "tracking failed": "추적 실패",
  withdrawn: "철회됨",
  closed: "운영 시간 밖",
  "not run": "실행되지 않음",
};

export interface Fact {
  name: string;
  values: Record<string, string>;
  text: string;
}

/** A check's facts in one line; one without Korean as the API says it. */
export function factsIn(language: string, facts: Fact[]): string {
  return facts
    .map(({ name, values, text }) => {
      const korean = language === "ko" ? FACTS[name] : undefined;
      return korean?.replace(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole) ?? text;
    })
    .join("; ");
}

/** The reason of a camera's failure, or what became of a slot; one that is not known here is shown as it is. */
export function reasonIn(language: string, reason: string): string {
  return (language === "ko" && WORDS[reason]) || reason;
}
