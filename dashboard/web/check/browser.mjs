/** Opens the pages in a real Chromium and writes down what it saw. Called by lab.benchmarks.dashboard. */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const FLOOR = ".bay-floor canvas";
const SIZES = { desk: [1280, 800], wall: [3840, 2160], phone: [390, 844] };
const result = { console: [], axe: [], wide: [], pages: 0, cold: [], first: [], failures: [], steps: [], empty: [], undrawn: 0, blocks: [] };

const browser = await chromium.launch({ executablePath: config.chromium, args: FLAGS });

async function open({ dark = false, korean = false, size = "desk", person = "boss" }) {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    locale: korean ? "ko-KR" : "en-US",
  });
  await context.addInitScript(
    ([language, theme]) => {
      localStorage.setItem("i18nextLng", language);
      localStorage.setItem("theme", theme);
    },
    [korean ? "ko" : "en", dark ? "dark" : "light"],
  );
  await context.addCookies([{ name: "_token", value: config.tokens[person], url: new URL(config.url).origin }]);
  const page = await context.newPage();
  page.on("pageerror", (error) => result.console.push(error.message));
  page.on("console", (message) => {
    // A picture that is not kept any more is an answer, and the page shows it as one.
    if (message.type() === "error" && !message.text().includes("404")) result.console.push(message.text());
  });
  return page;
}

/** What of ours is wider than its place: a person would have to scroll sideways to read it. A file's text may be. */
function sideways() {
  const own = [...document.querySelectorAll(".bay, .bay *")].filter((one) => !one.matches(".bay-file, .bay-diff, .bay-hidden, canvas, svg *"));
  return own
    .filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(one).overflowX))
    .map((one) => `${one.tagName} ${one.className} ${one.scrollWidth} of ${one.clientWidth}`);
}

async function look(name, path, selector, options, click) {
  let page;
  try {
    page = await open(options);
    await page.goto(`${config.url}/${path}`);
    await page.waitForSelector(selector, { timeout: config.patience_ms });
    if (click) {
      await page.locator(click[0]).first().click();
      await page.waitForSelector(click[1], { timeout: config.patience_ms });
    }
    await page.waitForLoadState("networkidle");
    await page.waitForTimeout(500);
    result.pages += 1;
    await page.screenshot({ path: `${config.output}/${name}.png` });
    const over = await page.evaluate(sideways);
    if (over.length) result.wide.push(`${name}: ${over.join(", ")}`);
    await page.evaluate(axe);
    const found = await page.evaluate(() =>
      window.axe.run(".bay", { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }),
    );
    for (const { id, nodes } of found.violations) result.axe.push(`${name}: ${id} (${nodes.length}) ${nodes[0]?.html}`);
  } catch (error) {
    result.failures.push(`${name}: ${error.message}`);
    await page?.screenshot({ path: `${config.output}/${name}_failed.png` }).catch(() => undefined);
  }
  await page?.context().close().catch(() => undefined);
}

const bay = `plugin/bays?bay=${config.lively}`;
const looks = [
  ["floor", bay, FLOOR, {}],
  ["floor_block", `${bay}&track=${config.track}`, FLOOR, { dark: true }],
  ["floor_korean", bay, FLOOR, { korean: true }],
  ["floor_phone", bay, FLOOR, { korean: true, size: "phone" }],
  ["floor_wall", bay, FLOOR, { dark: true, korean: true, size: "wall" }],
  ["floor_viewer", bay, FLOOR, { person: "looker" }],
  ["frames", `${bay}&page=frames`, ".bay-frame img", {}],
  ["frame_whole", `${bay}&page=frames&camera=C_4`, ".bay-whole img", { dark: true, korean: true }],
  ["events", `${bay}&page=events`, ".bay-table td", { korean: true }],
  ["health", `${bay}&page=health`, ".bay-table td", { dark: true }],
  ["calendar", `${bay}&page=calendar`, "button.bay-day", {}],
  ["calendar_phone", `${bay}&page=calendar`, "button.bay-day", { korean: true, dark: true, size: "phone" }],
  ["events_phone", `${bay}&page=events`, ".bay-table td", { size: "phone" }],
  ["events_viewer", `${bay}&page=events`, ".bay-table td", { person: "looker" }],
  ["setup", `${bay}&page=setup`, "textarea", {}, ["button:text('Check')", ".bay-preview"]],
  ["areas", `${bay}&page=setup`, "textarea", { korean: true }, ["button:text('구역')", ".bay-drawing"]],
  ["calibrate", `${bay}&page=setup`, "textarea", { dark: true }, ["button:text('Calibrate')", ".bay-clicking canvas"]],
  ["setup_viewer", `${bay}&page=setup`, ".bay-note", { person: "looker", korean: true }],
  ["event", `${bay}&page=events`, "td button[aria-expanded]", { dark: true }, ["td button[aria-expanded]", ".bay-crops img"]],
  ["block", `${bay}&track=${config.track}`, "details", { korean: true }, ["summary:text('정정')", "details[open] input"]],
  ["why", `${bay}&track=${config.track}`, "details", {}, ["details summary", "details[open] .bay-facts dd"]],
  ["health_phone", `${bay}&page=health`, ".bay-table td", { korean: true, size: "phone" }],
  ["reports", `${bay}&page=reports`, ".bay-table td", { korean: true, dark: true }],
  ["alert", `${bay}&page=health`, ".bay-table td", {}, ["button:text('Take over')", "td:has-text('boss,')"]],
  ["alerts_viewer", `${bay}&page=health`, ".bay-table td", { person: "looker", korean: true }],
  ["health_wall", `${bay}&page=health`, ".bay-table td", { korean: true, size: "wall" }],
  ["frames_phone", `${bay}&page=frames`, ".bay-frame img", { korean: true, dark: true, size: "phone" }],
  ["frames_wall", `${bay}&page=frames`, ".bay-frame img", { size: "wall" }],
  ["events_wall", `${bay}&page=events`, ".bay-table td", { dark: true, korean: true, size: "wall" }],
  ["block_phone", `${bay}&track=${config.track}`, "details", { size: "phone" }, ["summary:text('Correct')", "details[open] input"]],
  ["reports_phone", `${bay}&page=reports`, ".bay-table td", { korean: true, size: "phone" }],
  ["reports_wall", `${bay}&page=reports`, ".bay-table td", { size: "wall" }],
  ["calendar_wall", `${bay}&page=calendar`, "button.bay-day", { korean: true, size: "wall" }],
  ["setup_phone", `${bay}&page=setup`, "textarea", { korean: true, size: "phone" }],
  ["areas_phone", `${bay}&page=setup`, "textarea", { dark: true, size: "phone" }, ["button:text('Areas')", ".bay-drawing"]],
  ["home_phone", "", ".bay-card", { korean: true, size: "phone" }],
  ["home", "", ".bay-card", {}],
  ["home_dark", "", ".bay-card", { dark: true, korean: true }],
];
const chosen = looks.filter(([name]) => config.looks.length === 0 || config.looks.includes(name.split("_")[0]));
if (config.part === "pages") for (const one of chosen) await look(...one);
else await measure();
await browser.close().catch(() => undefined);
writeFileSync(config.result, JSON.stringify(result));

/** What fails is written down, and the rest is measured. */
async function measure() {
  for (const [name, what] of Object.entries({ firstFloors, scrub })) {
    try {
      const large = await open({});
      await what(large);
      await large.context().close();
    } catch (error) {
      result.failures.push(`${name}: ${error.message}`);
    }
  }
}

/** From the click on *Bays* in a page that is there until the floor is drawn; and from nothing at all. */
async function firstFloors(large) {
  for (let round = 0; round < config.rounds; round += 1) {
    await large.goto(`${config.url}/`);
    await large.waitForSelector(".bay-card", { timeout: config.patience_ms });
    await large.waitForLoadState("networkidle");
    await large.evaluate(() => performance.clearMarks());
    const began = await large.evaluate(() => performance.now());
    await large.click(`a[href$="/plugin/bays"]`);
    const drawn = await large.waitForFunction(() => performance.getEntriesByName("bay-floor")[0]?.startTime, undefined, {
      timeout: config.patience_ms,
    });
    result.first.push((await drawn.jsonValue()) - began);
    await large.goto(`${config.url}/plugin/bays?bay=${config.large}&at=${config.large_at}`);
    const cold = await large.waitForFunction(() => performance.getEntriesByName("bay-floor")[0]?.startTime, undefined, {
      timeout: config.patience_ms,
    });
    result.cold.push(await cold.jsonValue());
  }
}

/** A whole day of the bay with the most blocks, slot by slot, one step a frame; beside it, frames without any work. */
async function scrub(large) {
  await large.goto(`${config.url}/plugin/bays?bay=${config.large}&at=${config.large_at}`);
  await large.waitForSelector(FLOOR, { timeout: config.patience_ms });
  await large.waitForLoadState("networkidle");
  await large.evaluate(() => {
    window.frame = () => new Promise((done) => requestAnimationFrame(done));
    window.rest = async () => {
      for (let wait = 0; wait < 30; wait += 1) await window.frame();
    };
    window.press = (key) =>
      document.querySelector('[role="slider"]').dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  });
  Object.assign(
    result,
    await large.evaluate(async (selector) => {
      const { dataset } = document.querySelector(selector);
      const paced = async (work) => {
        const times = [await window.frame()];
        for (let step = 0; step < 143; step += 1) {
          work();
          times.push(await window.frame());
        }
        return times.slice(1).map((time, index) => time - times[index]);
      };
      window.press("Home");
      await window.rest();
      const empty = await paced(() => undefined);
      const drawn = [];
      const steps = await paced(() => {
        drawn.push([dataset.moment, Number(dataset.blocks)]);
        window.press("ArrowRight");
      });
      drawn.push([dataset.moment, Number(dataset.blocks)]);
      const undrawn = drawn.slice(1).filter(([moment], index) => moment === drawn[index][0]).length;
      return { empty, steps, undrawn, blocks: drawn.slice(1).map(([, count]) => count) };
    }, FLOOR),
  );
}
