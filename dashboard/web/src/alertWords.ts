import { reasonIn } from "./facts";

/**
 * What the monitoring writes of each alert (`summary` in deploy/monitoring/bays.rules.yml), and the same in Korean.
 * The English sentence is a pattern: what stands in its braces is taken from the alert's own sentence.
 */
export const SENTENCES: Record<string, readonly [english: string, korean: string]> = {
  BaySilent: ["Bay {bay}: nothing tracked for {value}", "베이 {bay}: {value} 동안 추적 결과가 없습니다"],
  BayNeverTracked: [
    "Bay {bay}: it is enabled, and none of its slots was ever tracked",
    "베이 {bay}: 켜져 있으나 추적된 슬롯이 하나도 없습니다",
  ],
  BayFileWrong: ["Bay {bay}: its file cannot be read, and it does not run", "베이 {bay}: 설정 파일을 읽을 수 없어 실행되지 않습니다"],
  StageFails: ["Bay {bay}: {outcome} in {value} slots, one after the other", "베이 {bay}: 연속 {value}개 슬롯에서 {outcome}"],
  FramesLate: [
    "Bay {bay}: in {value} slots of the last hour, frames were taken over a minute late",
    "베이 {bay}: 지난 한 시간 중 {value}개 슬롯에서 프레임이 1분 넘게 늦게 촬영되었습니다",
  ],
  FloorDoubted: [
    "Bay {bay}: the floor plan cannot be right, and the tracks are held as they were",
    "베이 {bay}: 플로어 배치가 맞을 수 없어 트랙을 이전 그대로 유지합니다",
  ],
  CameraDown: ["Bay {bay}, camera {camera}: no frame in {value} captures", "베이 {bay}, 카메라 {camera}: 촬영 {value}회 동안 프레임이 없습니다"],
  CameraDrifted: [
    "Bay {bay}, camera {camera}: its frames, or what is found in them, changed",
    "베이 {bay}, 카메라 {camera}: 프레임이나 그 검출 결과가 평소와 달라졌습니다",
  ],
  QuorumNear: [
    "Bay {bay}: one more camera that fails costs it its slots",
    "베이 {bay}: 카메라가 한 대만 더 고장 나면 슬롯을 잃습니다",
  ],
  BelowQuorum: [
    "Bay {bay}: too few cameras give a frame, and its slots are lost",
    "베이 {bay}: 프레임을 주는 카메라가 너무 적어 슬롯을 잃고 있습니다",
  ],
  QueueWithoutTriggerer: ["Queue {queue}: no triggerer lives that serves it", "큐 {queue}: 이 큐를 맡은 triggerer가 없습니다"],
  DeferredTaskUnclaimed: [
    "Queue {queue}: a deferred task that no process holds for {value}",
    "큐 {queue}: 지연된 태스크를 {value} 동안 어느 프로세스도 맡지 않았습니다",
  ],
  NoWorkerTakesTasks: ["Queue {queue}: a task waits for a worker for {value}", "큐 {queue}: 태스크가 {value} 동안 워커를 기다립니다"],
  AirflowProcessSilent: [
    "Airflow's {process}: no sign of life for {value}",
    "Airflow의 {process}: {value} 동안 응답이 없습니다",
  ],
  AirflowDatabaseAway: [
    "Airflow's database does not answer the main server",
    "Airflow의 데이터베이스가 메인 서버에 응답하지 않습니다",
  ],
  HistoryAway: ["The history's database does not answer the main server", "이력 데이터베이스가 메인 서버에 응답하지 않습니다"],
  StoreDoesNotAnswer: ["The shared storage does not answer the main server", "공유 저장소가 메인 서버에 응답하지 않습니다"],
  StoreSlow: ["The shared storage takes {value} to answer", "공유 저장소의 응답에 {value} 걸립니다"],
  DiskFillsUp: ["The storage's disk is full in {value} days", "저장소 디스크가 {value}일 뒤에 가득 찹니다"],
  DiskAlmostFull: ["The storage's disk is full in {value} days", "저장소 디스크가 {value}일 뒤에 가득 찹니다"],
  ExporterSilent: ["The exporter of the bays does not answer", "베이 메트릭 exporter가 응답하지 않습니다"],
  ExportIncomplete: ["The exporter cannot ask: {part}", "exporter가 조회하지 못한 것: {part}"],
  MessagesWait: [
    "Messages to people wait for {value}: a channel does not take them",
    "사람에게 보낼 메시지가 {value} 동안 대기 중입니다. 채널이 받지 않습니다",
  ],
};

/** As the monitoring writes durations: `1h 2m 3s`, `250ms`. */
const DURATION = /^-?[\d.]+(ms|[dhms])( \d+[hms])*$/;
const UNITS: Record<string, string> = { d: "일", h: "시간", m: "분", s: "초", ms: "밀리초" };

/** The alert's sentence in a language; as it is where the rule is unknown, or writes another sentence. */
export function sentenceOf(alert: { name: string; summary: string }, locale: string): string {
  const written = alert.summary || alert.name;
  const [english, korean] = (locale === "ko" ? SENTENCES[alert.name] : undefined) ?? [];
  const found = english === undefined ? null : patternOf(english).exec(written);
  if (korean === undefined || found === null) return written;
  return korean.replace(/\{(\w+)\}/g, (_, name: string) => inKorean(found.groups?.[name] ?? ""));
}

function patternOf(english: string): RegExp {
  const plain = english.replace(/[.*+?^$()[\]|\\]/g, "\\$&");
  return new RegExp(`^${plain.replace(/\{(\w+)\}/g, "(?<$1>.+?)")}$`);
}

function inKorean(value: string): string {
  if (DURATION.test(value)) return value.replace(/ms|[dhms]/g, (unit) => UNITS[unit] ?? unit);
  const outcome = value.replaceAll("_", " ");
  const korean = reasonIn("ko", outcome);
  return korean === outcome ? value : korean;
}
