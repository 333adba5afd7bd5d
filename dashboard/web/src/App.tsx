/** The page *Bays*: which bay, and which page of it. */
import type { ReactNode } from "react";

import { ask } from "./api";
import { CalendarPage } from "./CalendarPage";
import { EventsPage } from "./EventsPage";
import { FloorPage } from "./FloorPage";
import { FramesPage } from "./FramesPage";
import { HealthPage } from "./HealthPage";
import { useLanguage, type Word } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { usePlace } from "./query";
import { ReportPage } from "./ReportPage";
import { SetupPage } from "./SetupPage";
import { Strip } from "./Strip";
import { MINUTE } from "./times";
import type { BayDetail, BayList } from "./types";

const PAGES: [Word, (props: { bay: BayDetail }) => ReactNode][] = [
  ["floor", FloorPage],
  ["frames", FramesPage],
  ["events", EventsPage],
  ["health", HealthPage],
  ["reports", ReportPage],
  ["calendar", CalendarPage],
  ["setup", SetupPage],
];

export function App(): ReactNode {
  const { t } = useLanguage();
  const [place, setPlace] = usePlace();
  const bays = useLoaded("bays", (signal) => ask<BayList>("bays", {}, signal), MINUTE, "bays");
  const chosen = place("bay") ?? bays.value?.bays[0]?.bay_id ?? null;
  if (bays.error && !bays.value) return <Frame><Failure error={bays.error} again={bays.again} t={t} /></Frame>;
  if (chosen === null) return <Frame>{bays.value ? <Strip /> : <p>{t("loading")}</p>}</Frame>;
  const page = PAGES.find(([name]) => name === place("page")) ?? (PAGES[0] as (typeof PAGES)[number]);
  return (
    <Frame>
      <div className="bay-row bay-noprint">
        <label className="bay-field">
          {t("bay")}
          <select
            value={chosen}
            onChange={(event) => setPlace({ bay: event.target.value, track: null, camera: null })}
          >
            {bays.value?.bays.map((bay) => (
              <option key={bay.bay_id} value={bay.bay_id}>
                {bay.description} ({bay.bay_id})
              </option>
            )) ?? <option>{chosen}</option>}
          </select>
        </label>
        {PAGES.length > 1 && <Tabs current={page[0]} onChange={(name) => setPlace({ page: name })} />}
      </div>
      <OneBay key={chosen} bayId={chosen} Page={page[1]} />
    </Frame>
  );
}

export function OneBay({ bayId, Page }: { bayId: string; Page: (props: { bay: BayDetail }) => ReactNode }): ReactNode {
  const { t } = useLanguage();
  const path = `bays/${encodeURIComponent(bayId)}`;
  const bay = useLoaded(path, (signal) => ask<BayDetail>(path, {}, signal), 0, path);
  if (bay.error) return <Failure error={bay.error} again={bay.again} t={t} />;
  if (!bay.value) return <p role="status">{t("loading")}</p>;
  return <Page bay={bay.value} />;
}

function Tabs({ current, onChange }: { current: Word; onChange: (name: Word) => void }): ReactNode {
  const { t } = useLanguage();
  return (
    <nav className="bay-tabs" aria-label={t("bays")}>
      {PAGES.map(([name]) => (
        <button
          key={name}
          type="button"
          aria-current={name === current ? "page" : undefined}
          onClick={() => onChange(name)}
        >
          {t(name)}
        </button>
      ))}
    </nav>
  );
}

export function Frame({ children }: { children: ReactNode }): ReactNode {
  return <div className="bay">{children}</div>;
}

export function NotABay(): ReactNode {
  const { t } = useLanguage();
  return (
    <Frame>
      <Note>{t("notABay")}</Note>
    </Frame>
  );
}
