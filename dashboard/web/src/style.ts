/** The page's look, on the colours of Airflow's theme, which follow its dark mode. */
const CSS = `
.bay{--bay-bg:var(--chakra-colors-bg,#fff);--bay-subtle:var(--chakra-colors-bg-subtle,#f7f8fa);--bay-fg:#14181f;
 --bay-muted:#4a5463;--bay-line:#c3cad4;--bay-accent:#0b5cad;--bay-alarm:#b3261e;--bay-warn:#8a4b00;--bay-ok:#146c2e;
 color:var(--bay-fg);font-size:14px;line-height:1.45;display:flex;flex-direction:column;gap:10px;min-height:100%;
 word-break:keep-all;overflow-wrap:anywhere}
.dark .bay{--bay-fg:#f2f4f7;--bay-muted:#b3bcc9;--bay-line:#4b5563;--bay-accent:#7cc0ff;--bay-alarm:#ff8a80;
 --bay-warn:#ffb95c;--bay-ok:#7ddb9a}
.bay *{box-sizing:border-box}
.bay h2{font-size:16px;font-weight:600;margin:0}
.bay h3{font-size:14px;font-weight:600;margin:0}
.bay-row{display:flex;flex-wrap:wrap;gap:8px 12px;align-items:center}
.bay-field{display:flex;flex-direction:column;gap:2px;font-size:12px;color:var(--bay-muted)}
.bay select,.bay input[type=text],.bay input[type=search],.bay input[type=date],.bay textarea{font:inherit;font-size:14px;
 color:var(--bay-fg);background:var(--bay-bg);border:1px solid var(--bay-line);border-radius:6px;padding:5px 8px;min-height:34px}
.dark .bay input,.dark .bay select{color-scheme:dark}
.bay button,.bay a.bay-button{font:inherit;color:var(--bay-fg);background:var(--bay-bg);border:1px solid var(--bay-line);
 border-radius:6px;padding:5px 10px;min-height:34px;min-width:34px;cursor:pointer;display:inline-flex;align-items:center;
 justify-content:center;gap:6px;text-decoration:none}
.bay button:hover,.bay a.bay-button:hover{background:var(--bay-subtle)}
.bay button[aria-pressed=true],.bay button[aria-current=page]{border-color:var(--bay-accent);color:var(--bay-accent);
 font-weight:600}
.bay button:disabled{opacity:.5;cursor:default}
.bay :focus-visible{outline:3px solid var(--bay-accent);outline-offset:1px}
.bay>.bay-field{align-self:flex-start}
.bay-state{font-weight:600;white-space:nowrap}
.bay-tabs{display:flex;flex-wrap:wrap;gap:4px;border-bottom:1px solid var(--bay-line)}
.bay .bay-tabs button{border:0;border-radius:0;border-bottom:3px solid transparent;background:none;padding:6px 12px}
.bay .bay-tabs button[aria-current=page]{border-bottom-color:var(--bay-accent)}
.bay-main{display:grid;grid-template-columns:minmax(0,1fr) 320px;gap:12px;align-items:start}
.bay-floors{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(0,1fr);gap:8px}
.bay-floor{position:relative;border:1px solid var(--bay-line);border-radius:8px;overflow:hidden;height:0;
 width:100%;touch-action:none}
.bay-floor canvas{display:block;position:absolute;inset:0;width:100%;height:100%}
.bay-tools{position:absolute;right:8px;bottom:8px;display:flex;gap:4px}
.bay-then{position:absolute;left:8px;top:8px;background:var(--bay-bg);border:1px solid var(--bay-line);border-radius:6px;
 padding:2px 8px;font-weight:600}
.bay-tip{position:absolute;pointer-events:none;background:var(--bay-bg);border:1px solid var(--bay-line);border-radius:6px;
 padding:4px 8px;font-size:13px;max-width:240px;box-shadow:0 2px 8px #0004}
.bay-panel{border:1px solid var(--bay-line);border-radius:8px;padding:10px;display:flex;flex-direction:column;gap:8px;
 max-height:72vh;overflow:auto;background:var(--bay-bg)}
.bay-list{list-style:none;margin:0;padding:0;display:flex;flex-direction:column}
.bay-list li{content-visibility:auto;contain-intrinsic-size:auto 32px}
.bay .bay-list button{width:100%;justify-content:flex-start;border:0;border-radius:4px;text-align:left;min-height:30px}
.bay .bay-list button[aria-pressed=true]{background:var(--bay-subtle)}
.bay-swatch{display:inline-block;width:14px;height:14px;border:1px solid var(--bay-fg);border-radius:3px;flex:none}
.bay-hatched{background:repeating-linear-gradient(135deg,var(--bay-fg) 0 1px,transparent 1px 5px)}
.bay-dashed{border-style:dashed}
.bay-said{margin:0;padding-left:18px}
.bay-struck td:nth-child(-n+4){text-decoration:line-through;color:var(--bay-muted)}
.bay summary{cursor:pointer;min-height:34px;padding:6px 0;font-weight:600}
.bay-crops{display:flex;flex-wrap:wrap;gap:8px}
.bay .bay-crops button{flex-direction:column;padding:4px;max-width:220px;font-size:12px}
.bay-crops img{max-width:100%;max-height:170px;border-radius:4px;min-height:60px}
.bay-calendar{border-collapse:separate;border-spacing:4px;width:100%;max-width:900px;table-layout:fixed}
.bay-calendar th{color:var(--bay-muted);font-weight:600}
.bay .bay-day{display:flex;width:100%;min-height:56px;flex-direction:column;align-items:center;justify-content:center;gap:0;
 padding:2px;font-size:13px;border-width:2px}
.bay button.bay-whole-day{border-color:var(--bay-ok)}.bay button.bay-some-gaps{border-color:var(--bay-warn)}
.bay button.bay-many-gaps{border-color:var(--bay-alarm);border-style:dashed}
.bay .bay-file,.bay-diff{font-family:ui-monospace,monospace;font-size:13px;line-height:1.4;white-space:pre;overflow:auto}
.bay .bay-file{width:100%}.bay>.bay-field:has(.bay-file){align-self:stretch}
.bay-diff{border:1px solid var(--bay-line);border-radius:6px;padding:8px;max-height:50vh;margin:0}
.bay-preview{width:100%;max-height:50vh;font-size:2px}
.bay-preview text{fill:var(--bay-fg)}
.bay-preview-floor{fill:var(--bay-bg);stroke:var(--bay-fg);stroke-width:.3}
.bay-preview-view{fill:none;stroke:var(--bay-muted);stroke-width:.15;stroke-dasharray:1 1}
.bay-preview-area{fill:none;stroke:var(--bay-accent);stroke-width:.25}.bay-preview-other{fill:var(--bay-subtle)}
.bay-preview-chosen{stroke-width:.6;fill:var(--bay-accent);fill-opacity:.18}
.bay-drawing{touch-action:none;cursor:crosshair}
.bay .bay-clicking{height:62vh}
.bay .bay-table input{min-height:30px;padding:2px 6px}
.bay [aria-invalid=true]{border-color:var(--bay-alarm)}
.bay-muted{color:var(--bay-muted)}
.bay-facts{display:grid;grid-template-columns:auto 1fr;gap:2px 12px;margin:0}
.bay-facts dt{color:var(--bay-muted)}.bay-facts dd{margin:0}
.bay-note{border:1px solid var(--bay-line);border-left:4px solid var(--bay-warn);border-radius:6px;padding:6px 10px}
.bay-note.bay-bad{border-left-color:var(--bay-alarm)}
.bay-time{display:flex;flex-wrap:wrap;gap:6px 8px;align-items:center}
.bay-track{position:relative;overflow:clip;overflow-clip-margin:8px;flex:1 1 480px;height:46px;touch-action:none;cursor:pointer}
.bay-track canvas{width:100%;height:100%;display:block}
.bay-track .bay-mark{position:absolute;inset:0 auto 0 -8px;width:calc(100% + 16px);pointer-events:none;color:var(--bay-fg)}
.bay-now{width:11em;height:1.5em;contain:strict;white-space:nowrap;font-variant-numeric:tabular-nums;font-weight:600;
 font-size:16px}
.bay-table{border-collapse:collapse;width:100%}
.bay-table th,.bay-table td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--bay-line);vertical-align:top}
.bay-table th{color:var(--bay-muted);font-weight:600}
.bay-scroll{overflow:auto;max-width:100%}
.bay-cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:10px}
.bay-card{border:1px solid var(--bay-line);border-radius:8px;padding:10px;display:flex;flex-direction:column;gap:4px;
 background:var(--bay-bg);color:var(--bay-fg);text-decoration:none}
a.bay-card:hover{border-color:var(--bay-accent)}
.bay-frames{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:10px}
.bay-frame{margin:0;display:flex;flex-direction:column;gap:4px}
.bay .bay-picture{position:relative;padding:0;border:1px solid var(--bay-line);border-radius:6px;overflow:hidden;width:100%;
 display:block;min-height:0}
.bay-picture img{display:block;width:100%;height:auto}
.bay-picture svg{position:absolute;inset:0;width:100%;height:100%;pointer-events:none}
.bay .bay-nothing{aspect-ratio:16/9;display:flex;align-items:center;justify-content:center;color:var(--bay-muted);
 background:var(--bay-subtle)}
.bay-seen{fill:#56b4e926;stroke:#56b4e9;stroke-width:2;vector-effect:non-scaling-stroke}
.bay-fused *{fill:none;stroke:#f0e442;stroke-width:1.5;vector-effect:non-scaling-stroke}
.bay-fused.bay-unseen *{stroke:#ff6b57;stroke-dasharray:5 4}
.bay-whole{border:1px solid var(--bay-line);border-radius:8px;padding:10px;display:flex;flex-direction:column;gap:8px}
.bay-ok{color:var(--bay-ok)}.bay-warn{color:var(--bay-warn)}.bay-alarm{color:var(--bay-alarm)}
.bay-strong{font-weight:600}
.bay-legend{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:13px}
.bay-legend span{display:inline-flex;gap:6px;align-items:center}
.bay-hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:900px){.bay-main{grid-template-columns:minmax(0,1fr)} .bay-panel{max-height:none}.bay-floors{grid-auto-flow:row}}
@media (max-width:500px){.bay-rows thead{display:none}.bay-rows tr{display:flex;flex-wrap:wrap;border-bottom:1px solid
 var(--bay-line)}.bay-rows td{border:0;padding:3px 8px}.bay-filters{order:3}.bay-main{order:2}.bay{font-size:15px}.bay-field{flex:1 1 45%}}
@media (max-width:500px){.bay-stacked thead{display:none}.bay-stacked tr{display:block;border-bottom:1px solid var(--bay-line);padding:6px 0}
 .bay-stacked td{display:grid;grid-template-columns:6.5em minmax(0,1fr);gap:8px;border:0;padding:2px 0}.bay-stacked .bay-none{display:none}
 .bay-stacked td::before{content:attr(data-label);color:var(--bay-muted)}.bay-stacked td:first-child{display:block;font-weight:600}
 .bay-stacked td:first-child::before{content:none}}
@media (min-width:2600px){.bay{font-size:20px}.bay h2{font-size:24px}.bay h3{font-size:20px}.bay-field,.bay-legend{font-size:17px}
 .bay select,.bay input[type=text],.bay input[type=search],.bay input[type=date],.bay textarea{font-size:20px}.bay-now{font-size:22px}.bay-main{grid-template-columns:minmax(0,1fr) 460px}}
@media (prefers-reduced-motion:reduce){.bay *{transition:none!important}}
@media print{.bay-noprint{display:none!important}.bay-panel,.bay-scroll{max-height:none;overflow:visible}}
`;

const ID = "bay-style";

export function addStyle(): void {
  if (document.getElementById(ID)) return;
  const style = document.createElement("style");
  style.id = ID;
  style.textContent = CSS;
  document.head.append(style);
}
