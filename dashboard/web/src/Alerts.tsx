/** What the monitoring has raised of this bay: to be taken over by a person, or muted for a while. */
import { useState, type ReactNode } from "react";

import { sentenceOf } from "./alertWords";
import { ask, send } from "./api";
import { useLanguage, word, type Translate } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { Table } from "./Table";
import { dateAndClock, MINUTE } from "./times";
import type { AlertList, AlertRow, BayDetail, MuteRow } from "./types";

const LENGTHS = [60, 480, 1440, 10080] as const;
const CLASSES: Record<string, string> = { critical: "bay-alarm", warning: "bay-warn" };
const SIGNS: Record<string, string> = { critical: "✕", warning: "!" };

interface Doing {
  busy: boolean;
  error: Error | undefined;
  post: (path: string, body: unknown) => void;
}

/** To change something of the bay's alerts; `onDone` asks again for them. */
function useDoing(bay: BayDetail, onDone: () => void): Doing {
  const [state, setState] = useState<{ busy: boolean; error?: Error }>({ busy: false });
  const post = (path: string, body: unknown): void => {
    setState({ busy: true });
    send(`bays/${bay.bay_id}/${path}`, body).then(
      () => {
        setState({ busy: false });
        onDone();
      },
      (error: unknown) => setState({ busy: false, error: error instanceof Error ? error : new Error(String(error)) }),
    );
  };
  return { busy: state.busy, error: state.error, post };
}

export function Alerts({ bay }: { bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  const path = `bays/${bay.bay_id}/alerts`;
  const found = useLoaded(path, (signal) => ask<AlertList>(path, {}, signal), MINUTE);
  const doing = useDoing(bay, found.again);
  const at = (time: string): string => dateAndClock(Date.parse(time), bay.timezone, locale);
  return (
    <>
      <h2>{t("alerts")}</h2>
      {found.error && !found.value && <Failure error={found.error} again={found.again} t={t} />}
      {doing.error && <Note bad>{doing.error.message}</Note>}
      {found.value?.alerts.length === 0 && <p className="bay-muted">{t("noAlerts")}</p>}
      {found.value && found.value.alerts.length > 0 && (
        <Table
          name={t("alerts")}
          columns={[t("alert"), t("item"), t("began"), t("until"), t("takenOver")]}
          rows={found.value.alerts.map((one) => [
            <Kind key="kind" alert={one} t={t} />,
            <What key="what" alert={one} t={t} locale={locale} />,
            at(one.since),
            one.until ? at(one.until) : t(one.unsure ? "notRepeated" : "lasts"),
            <TakenOver key="taken" alert={one} doing={doing} at={at} t={t} />,
          ])}
        />
      )}
      {found.value && found.value.mutes.length > 0 && (
        <Table
          name={t("mutes")}
          columns={[t("muted"), t("until"), t("mutedBy"), t("reason"), t("endMute")]}
          rows={found.value.mutes.map((mute) => [
            `${mute.kind ?? t("allAlerts")}${mute.bay_id ? "" : ` (${t("wholeYard")})`}`,
            at(mute.until),
            mute.author,
            mute.reason || "–",
            mute.may_end ? (
              <button key="end" type="button" disabled={doing.busy} onClick={() => doing.post("mutes/ended", { mute_id: mute.mute_id })}>
                {t("endMute")}
              </button>
            ) : (
              "–"
            ),
          ])}
        />
      )}
      {bay.writable && found.value && <NewMute alerts={found.value.alerts} mutes={found.value.mutes} doing={doing} t={t} />}
    </>
  );
}

function Kind({ alert, t }: { alert: AlertRow; t: Translate }): ReactNode {
  const lasting = alert.until === null;
  return (
    <span className={lasting ? `bay-strong ${CLASSES[alert.severity] ?? ""}` : "bay-muted"}>
      {lasting ? (SIGNS[alert.severity] ?? "i") : "✓"} {alert.name}
      <br />
      <span className="bay-muted">{word(t, "sv_", alert.severity)}</span>
    </span>
  );
}

/** What the monitoring says, and where. */
function What({ alert, t, locale }: { alert: AlertRow; t: Translate; locale: string }): ReactNode {
  const labels = Object.entries(alert.labels).map(([name, value]) => `${name} ${value}`);
  const where = [...(alert.bay_id ? [] : [t("wholeYard")]), ...labels].join(", ");
  return (
    <>
      {sentenceOf(alert, locale)}
      {where && <span className="bay-muted"> ({where})</span>}
      {alert.runbook && <span className="bay-muted"> · docs/{alert.runbook}</span>}
    </>
  );
}

function TakenOver({ alert, doing, at, t }: { alert: AlertRow; doing: Doing; at: (time: string) => string; t: Translate }): ReactNode {
  if (alert.acknowledged_at) return `${alert.acknowledged_by ?? ""}, ${at(alert.acknowledged_at)}`;
  if (!alert.may_acknowledge) return "–";
  return (
    <button
      type="button"
      disabled={doing.busy}
      aria-label={`${t("takeOver")}: ${alert.name}`}
      onClick={() => doing.post("alerts/acknowledged", { fingerprint: alert.fingerprint })}
    >
      {t("takeOver")}
    </button>
  );
}

function NewMute({ alerts, mutes, doing, t }: { alerts: AlertRow[]; mutes: MuteRow[]; doing: Doing; t: Translate }): ReactNode {
  const [kind, setKind] = useState("");
  const [minutes, setMinutes] = useState<number>(LENGTHS[1]);
  const [reason, setReason] = useState("");
  const known = new Set([...alerts.filter((one) => one.bay_id).map((one) => one.name), ...mutes.flatMap((one) => one.kind ?? [])]);
  return (
    <details>
      <summary>{t("mute")}</summary>
      <p className="bay-muted">{t("muteHint")}</p>
      <div className="bay-row">
        <label className="bay-field">
          {t("alert")}
          <select value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">{t("allAlerts")}</option>
            {[...known].sort().map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label className="bay-field">
          {t("howLong")}
          <select value={minutes} onChange={(event) => setMinutes(Number(event.target.value))}>
            {LENGTHS.map((one) => (
              <option key={one} value={one}>
                {one < 1440 ? t("hours", { n: one / 60 }) : t("days", { n: one / 1440 })}
              </option>
            ))}
          </select>
        </label>
        <label className="bay-field" style={{ flex: "1 1 200px" }}>
          {t("reason")}
          <input type="text" maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
        </label>
        <button type="button" disabled={doing.busy} onClick={() => doing.post("mutes", { kind, minutes, reason })}>
          {t("mute")}
        </button>
      </div>
    </details>
  );
}
