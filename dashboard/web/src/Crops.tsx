/** Pictures of one block, cut from the frames that are kept. */
import { useState, type ReactNode } from "react";

import { api, ask } from "./api";
import { slotName } from "./FramesPage";
import { useLanguage } from "./i18n";
import { useLoaded } from "./load";
import { usePlace } from "./query";
import { dateAndClock, DAY, iso } from "./times";
import type { BayDetail, BlockCrop, CropList } from "./types";

interface Props {
  bay: BayDetail;
  track: string;
  /** The last time that is asked about, or the time at which something happened. */
  at: number;
  /** One picture before that time and one after it, in place of several over the day before it. */
  around?: boolean;
}

const SEVERAL = 6;

export function Crops({ bay, track, at, around = false }: Props): ReactNode {
  const { t } = useLanguage();
  const period = { start: iso(at - DAY), end: iso(around ? at + DAY : at + 1000) };
  const query = around ? { ...period, around: iso(at) } : { ...period, limit: SEVERAL };
  const path = `bays/${bay.bay_id}/tracks/${encodeURIComponent(track)}/crops`;
  const found = useLoaded(JSON.stringify([path, query]), (signal) => ask<CropList>(path, query, signal));
  if (found.error) return <p className="bay-muted">{found.error.message}</p>;
  if (!found.value) return <p role="status">{t("loading")}</p>;
  if (!found.value.crops.length) return <p className="bay-muted">{t("noCrops")}</p>;
  return (
    <div className="bay-crops" role="group" aria-label={t("crops")}>
      {found.value.crops.map((crop) => (
        <Picture key={crop.slot} bay={bay} crop={crop} {...(around && { word: t(Date.parse(crop.slot) < at ? "before" : "after") })} />
      ))}
    </div>
  );
}

function Picture({ bay, crop, word }: { bay: BayDetail; crop: BlockCrop; word?: string }): ReactNode {
  const { t, locale } = useLanguage();
  const [, setPlace] = usePlace();
  const [gone, setGone] = useState(false);
  const [left, top, right, bottom] = crop.box;
  const path = `bays/${bay.bay_id}/slots/${slotName(Date.parse(crop.slot))}/frames/${crop.camera}/crop.jpg`;
  const when = dateAndClock(Date.parse(crop.slot), bay.timezone, locale);
  if (gone) return null;
  return (
    <button
      type="button"
      title={t("openFrames")}
      onClick={() => setPlace({ page: "frames", at: crop.slot, camera: crop.camera })}
    >
      <img src={api(path, { left, top, right, bottom })} alt="" loading="lazy" onError={() => setGone(true)} />
      <span>
        {word && `${word}: `}
        {when} {crop.camera}
      </span>
    </button>
  );
}
