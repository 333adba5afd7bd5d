/** The bay's file: a change to it is checked here and shown as a difference. The file itself is changed where it is kept. */
import { useState, type ReactNode } from "react";

import { ask, send } from "./api";
import { AreasPage, Faults } from "./AreasPage";
import { CalibratePage } from "./CalibratePage";
import { useLanguage } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import type { BayDetail, BayFile, CheckedFile } from "./types";

export function SetupPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t } = useLanguage();
  const path = `bays/${bay.bay_id}/file`;
  const file = useLoaded(bay.writable ? path : null, (signal) => ask<BayFile>(path, {}, signal));
  if (!bay.writable) return <Note>{t("setupRight")}</Note>;
  if (file.error) return <Failure error={file.error} again={file.again} t={t} />;
  if (!file.value) return <p role="status">{t("loading")}</p>;
  return <Parts bay={bay} file={file.value} />;
}

const PARTS = ["file", "areas", "calibrate"] as const;

/** Ways to change the file; its text goes from one to the next. */
function Parts({ bay, file }: { bay: BayDetail; file: BayFile }): ReactNode {
  const { t } = useLanguage();
  const [text, setText] = useState(file.text);
  const [part, setPart] = useState<(typeof PARTS)[number]>("file");
  const take = (after: string): void => {
    setText(after);
    setPart("file");
  };
  return (
    <>
      <div className="bay-row" role="group" aria-label={t("setup")}>
        {PARTS.map((one) => (
          <button key={one} type="button" aria-pressed={one === part} onClick={() => setPart(one)}>
            {t(one)}
          </button>
        ))}
      </div>
      {part === "file" && <Editor file={file} text={text} setText={setText} />}
      {part === "areas" && <AreasPage bay={bay} text={text} onText={take} />}
      {part === "calibrate" && <CalibratePage bay={bay} text={text} onText={take} />}
    </>
  );
}

interface EditorProps {
  file: BayFile;
  text: string;
  setText: (text: string) => void;
}

function Editor({ file, text, setText }: EditorProps): ReactNode {
  const { t } = useLanguage();
  const [checked, setChecked] = useState<CheckedFile | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const check = (): void => {
    send<CheckedFile>(`bays/${file.bay_id}/file/check`, { text }).then(
      (found) => {
        setChecked(found);
        setError(null);
      },
      (reason: unknown) => setError(reason instanceof Error ? reason : new Error(String(reason))),
    );
  };
  return (
    <>
      <p className="bay-muted">{t("setupHint", { name: file.name })}</p>
      <label className="bay-field">
        {file.name}
        <textarea
          className="bay-file"
          spellCheck={false}
          rows={24}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setChecked(null);
          }}
        />
      </label>
      <div className="bay-row">
        <button type="button" onClick={check}>
          {t("check")}
        </button>
        <button type="button" disabled={text === file.text} onClick={() => setText(file.text)}>
          {t("asItIs")}
        </button>
        {checked && checked.faults.length === 0 && checked.diff && (
          <a className="bay-button" download={`${file.bay_id}.patch`} href={`data:text/plain;charset=utf-8,${encodeURIComponent(checked.diff)}`}>
            {t("patch")}
          </a>
        )}
      </div>
      {error && <Note bad>{error.message}</Note>}
      {checked && <Found checked={checked} />}
    </>
  );
}

function Found({ checked }: { checked: CheckedFile }): ReactNode {
  const { t } = useLanguage();
  if (checked.faults.length) return <Faults faults={checked.faults} />;
  return (
    <>
      <Note>{checked.diff ? t("noFaults") : t("noChange")}</Note>
      {checked.diff && (
        <pre className="bay-diff" tabIndex={0} aria-label={t("difference")}>
          {checked.diff.split("\n").map((line, index) => (
            <span key={index} className={line.startsWith("+") ? "bay-ok" : line.startsWith("-") ? "bay-alarm" : ""}>
              {line}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
      <Preview checked={checked} />
    </>
  );
}

/** The floor that the file describes: areas and what the cameras look at. */
function Preview({ checked }: { checked: CheckedFile }): ReactNode {
  const { t } = useLanguage();
  const { width, height, areas, cameras } = checked;
  const up = (y: number): number => height - y;
  return (
    <svg className="bay-preview" viewBox={`-2 -4 ${width + 4} ${height + 8}`} role="img" aria-label={t("setupFloor")}>
      <rect x={0} y={0} width={width} height={height} className="bay-preview-floor" />
      {cameras.map((camera) => (
        <polygon
          key={camera.name}
          className="bay-preview-view"
          points={camera.view.map(([x, y]) => `${x},${up(y)}`).join(" ")}
        />
      ))}
      {areas.map((area) => (
        <g key={area.name}>
          <rect
            className={area.kind === "work" ? "bay-preview-area" : "bay-preview-area bay-preview-other"}
            x={area.x[0]}
            y={up(area.y[1])}
            width={area.x[1] - area.x[0]}
            height={area.y[1] - area.y[0]}
          />
          <text x={area.x[0] + 0.6} y={up(area.y[1]) + 2.4}>
            {area.name}
          </text>
        </g>
      ))}
      {cameras.map(
        (camera) =>
          camera.x !== null &&
          camera.y !== null && (
            <text key={camera.name} x={camera.x} y={up(camera.y) + (camera.y > height / 2 ? -1 : 3)} textAnchor="middle">
              {camera.name}
            </text>
          ),
      )}
    </svg>
  );
}
