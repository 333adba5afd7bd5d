/** Every bay at a glance, on Airflow's Home. */
import type { ReactNode } from "react";

import { address, ask } from "./api";
import { age, useLanguage } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { MINUTE } from "./times";
import type { BayList, BaySummary } from "./types";

export function Strip(): ReactNode {
  const { t } = useLanguage();
  const bays = useLoaded("bays", (signal) => ask<BayList>("bays", {}, signal), MINUTE, "bays");
  return (
    <section className="bay" style={{ minHeight: 0, marginBottom: 16 }} aria-label={t("bays")}>
      <h2>{t("bays")}</h2>
      {bays.error && <Failure error={bays.error} again={bays.again} t={t} />}
      {bays.value?.faults.map((fault) => (
        <Note bad key={fault.bay_id}>
          {t("wrongFile", { bay: fault.bay_id, fault: fault.fault })}
        </Note>
      ))}
      {bays.value?.bays.length === 0 && <Note>{t("noBays")}</Note>}
      <div className="bay-cards">
        {bays.value?.bays.map((bay) => (
          <Card key={bay.bay_id} bay={bay} />
        ))}
      </div>
    </section>
  );
}

function Card({ bay }: { bay: BaySummary }): ReactNode {
  const { t } = useLanguage();
  const ok = bay.cameras - bay.cameras_failed.length;
  const late = bay.age_s === null || (bay.slot_s !== null && bay.age_s > 3 * bay.slot_s);
  return (
    <a className="bay-card" href={address("plugin/bays", { bay: bay.bay_id })}>
      <span className="bay-strong">
        {bay.description} <span className="bay-muted">{bay.bay_id}</span>
      </span>
      <span className={late && !bay.closed ? "bay-warn" : ""}>
        {t("floor")}:{" "}
        {bay.age_s === null ? t("neverTracked") : t("old", { age: age(t, bay.age_s * 1000) })}
        {bay.closed && ` · ${t("closedNow")}`}
      </span>
      <span>
        {t("blocks")}: {bay.blocks} · {t("eventsHour", { n: bay.events_last_hour })}
      </span>
      <span className={bay.cameras_failed.length ? "bay-alarm" : "bay-ok"}>
        {t("camerasOk", { ok, all: bay.cameras })}
        {bay.cameras_failed.length > 0 && `: ✕ ${bay.cameras_failed.join(", ")}`}
      </span>
      {bay.alerts > 0 && <span className="bay-alarm">✕ {t("alertsOpen", { n: bay.alerts })}</span>}
      {bay.slots_missing > 0 && (
        <span className="bay-warn">
          {t("missingSlots", { n: bay.slots_missing })}
        </span>
      )}
    </a>
  );
}
