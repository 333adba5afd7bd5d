/** What the cameras saw in a slot, with what the models and the fusion made of it. */
import { useEffect, useState, type ReactNode } from "react";

import { api, ask } from "./api";
import { CaptureNow } from "./CaptureNow";
import { reasonIn } from "./facts";
import { useLanguage, word, type Translate } from "./i18n";
import { Tool } from "./Icon";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { usePlace } from "./query";
import { dateAndClock, iso, MINUTE } from "./times";
import type { BayDetail, FrameList, FusedBox, Ring, SlotFrame } from "./types";

const YOUNG_MS = 5 * MINUTE;
const EVERY_MS = 5000;

/** A slot as an address has it: 20250702-161000. */
export function slotName(moment: number): string {
  return iso(moment).slice(0, 19).replaceAll("-", "").replaceAll(":", "").replace("T", "-");
}

export function FramesPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  const [place, setPlace] = usePlace();
  const slotMs = (bay.slot_s ?? 600) * 1000;
  const asked = Date.parse(place("at") ?? bay.newest_slot ?? "");
  const [drawn, setDrawn] = useState(true);
  const slot = Number.isNaN(asked) ? null : slotName(asked);
  const path = `bays/${bay.bay_id}/slots/${slot}/frames`;
  // Of a slot that is under way, the floor plan comes later than the frames.
  const young = Date.now() - asked < YOUNG_MS;
  const frames = useLoaded(slot && path, (signal) => ask<FrameList>(path, {}, signal), young ? EVERY_MS : 0);
  const open = frames.value?.frames.find((frame) => frame.camera === place("camera"));
  if (slot === null) return <Note>{t("noHistory")}</Note>;
  const go = (to: number): void => setPlace({ at: iso(to) });
  return (
    <>
      <div className="bay-row">
        <Tool label={t("previousSlot")} icon="back" onClick={() => go(asked - slotMs)} />
        <span className="bay-now">{dateAndClock(asked, bay.timezone, locale)}</span>
        <Tool label={t("nextSlot")} icon="forward" onClick={() => go(asked + slotMs)} />
        <button type="button" aria-pressed={drawn} onClick={() => setDrawn(!drawn)}>
          {t("outlines")}
        </button>
        <button type="button" onClick={() => setPlace({ page: "floor", camera: null })}>
          {t("openFloor")}
        </button>
        <CaptureNow bay={bay} task="run_inference" onSlot={go} />
      </div>
      {frames.error && <Failure error={frames.error} again={frames.again} t={t} />}
      {frames.loading && !frames.value && <p role="status">{t("loading")}</p>}
      {open && slot && (
        <Whole bay={bay} frame={open} slot={slot} drawn={drawn} onClose={() => setPlace({ camera: null })} t={t} />
      )}
      <div className="bay-frames">
        {frames.value?.frames.map((frame) => (
          <Small
            key={`${slot} ${frame.camera}`}
            bay={bay}
            frame={frame}
            slot={slot}
            drawn={drawn}
            onOpen={() => setPlace({ camera: frame.camera })}
            t={t}
          />
        ))}
      </div>
      <p className="bay-muted">{t("outlinesHint")}</p>
    </>
  );
}

interface FrameProps {
  bay: BayDetail;
  frame: SlotFrame;
  slot: string;
  drawn: boolean;
  t: Translate;
}

function Small({ bay, frame, slot, drawn, onOpen, t }: FrameProps & { onOpen: () => void }): ReactNode {
  const [gone, setGone] = useState(false);
  const there = frame.captured_at !== null && !gone;
  const failure = reasonIn(useLanguage().locale, frame.failure);
  const counts = `${frame.objects.length} ${t("objects")} · ${frame.blocks.length} ${t("blocks").toLowerCase()}`;
  return (
    <figure className="bay-frame">
      {there ? (
        <button type="button" className="bay-picture" aria-label={`${frame.camera}: ${t("fullFrame")}`} onClick={onOpen}>
          <img
            src={api(`bays/${bay.bay_id}/slots/${slot}/frames/${frame.camera}/thumbnail.jpg`)}
            alt=""
            width={480}
            height={270}
            loading="lazy"
            onError={() => setGone(true)}
          />
          {drawn && <Overlay frame={frame} />}
        </button>
      ) : (
        <div className="bay-picture bay-nothing">{failure || t("noFrame")}</div>
      )}
      <figcaption>
        <span className="bay-strong">{frame.camera}</span>{" "}
        {there ? <span className="bay-muted">{counts}</span> : <span className="bay-alarm">✕ {failure}</span>}
        {frame.out_of_pose && <span className="bay-warn"> {t("outOfPose", { names: frame.camera })}</span>}
      </figcaption>
    </figure>
  );
}

function Whole({ bay, frame, slot, drawn, onClose, t }: FrameProps & { onClose: () => void }): ReactNode {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape") onClose();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [onClose]);
  return (
    <section className="bay-whole" aria-label={frame.camera}>
      <div className="bay-row" style={{ justifyContent: "space-between" }}>
        <h2>{frame.camera}</h2>
        <Tool label={t("close")} icon="close" onClick={onClose} />
      </div>
      <div className="bay-picture">
        <img
          src={api(`bays/${bay.bay_id}/slots/${slot}/frames/${frame.camera}/full.jpg`)}
          alt={t("frameOf", { camera: frame.camera })}
          width={frame.width ?? 1920}
          height={frame.height ?? 1080}
        />
        {drawn && <Overlay frame={frame} />}
      </div>
      <Why blocks={frame.blocks} t={t} />
    </section>
  );
}

/** Why the floor says what it says, as far as this camera goes. */
function Why({ blocks, t }: { blocks: FusedBox[]; t: Translate }): ReactNode {
  return (
    <div className="bay-scroll" tabIndex={0} role="region" aria-label={t("why")}>
      <table className="bay-table">
        <caption className="bay-hidden">{t("why")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("area")}</th>
            <th scope="col">{t("className")}</th>
            <th scope="col">{t("stage")}</th>
            <th scope="col">{t("thisCamera")}</th>
            <th scope="col">{t("confidence")}</th>
            <th scope="col">{t("work")}</th>
          </tr>
        </thead>
        <tbody>
          {blocks.map((block) => (
            <tr key={block.centre.join()}>
              <td>{block.area ?? "–"}</td>
              <td>{block.class_name}</td>
              <td>{block.stage ?? t("noStage")}</td>
              <td className={block.saw === "missed" ? "bay-warn" : ""}>{word(t, "saw_", block.saw)}</td>
              <td>{Math.round(block.confidence * 100)} %</td>
              <td>
                {Object.entries(block.work)
                  .map(([name, count]) => `${count} ${name}`)
                  .join(", ") || "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Overlay({ frame }: { frame: SlotFrame }): ReactNode {
  const width = frame.width ?? 1920;
  const height = frame.height ?? 1080;
  return (
    <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {frame.objects.map((one, index) => (
        <polygon key={index} points={points(one.outline.length ? one.outline : corners(one.box))} className="bay-seen" />
      ))}
      {frame.blocks.map((block, index) => (
        <g key={index} className={block.saw === "missed" ? "bay-fused bay-unseen" : "bay-fused"}>
          <polygon points={points(block.foot)} />
          <polygon points={points(block.top)} />
          {block.foot.map((foot, corner) => {
            const top = block.top[corner];
            return top && <line key={corner} x1={foot[0]} y1={foot[1]} x2={top[0]} y2={top[1]} />;
          })}
        </g>
      ))}
    </svg>
  );
}

function corners([left, top, right, bottom]: [number, number, number, number]): Ring {
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

function points(ring: Ring): string {
  return ring.map((point) => point.join()).join(" ");
}
