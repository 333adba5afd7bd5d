/** One file that runs on the React and the router of Airflow's own page, which are globals there. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

import { defineConfig } from "vitest/config";

const HOST = {
  react: "React",
  "react-dom": "ReactDOM",
  "react/jsx-runtime": "ReactJSXRuntime",
  "react-router-dom": "ReactRouterDOM",
};

/** Digest of what the bundle is made of. A test without Node holds it against the sources (tests/dashboard/test_web.py). */
function sources(): string {
  const files = [...readdirSync("src").map((name) => `src/${name}`), "package.json", "vite.config.ts"].sort();
  const digest = createHash("sha256");
  for (const file of files) digest.update(`${file}\n`).update(readFileSync(file));
  return digest.digest("hex");
}

export default defineConfig({
  build: {
    outDir: "../static",
    emptyOutDir: false, // the icons stay
    copyPublicDir: false,
    sourcemap: false,
    target: "es2022",
    lib: { entry: "src/index.tsx", formats: ["iife"], name: "BayDashboard", fileName: () => "dashboard.js" },
    rollupOptions: { external: Object.keys(HOST), output: { globals: HOST } },
  },
  plugins: [
    {
      name: "sources",
      generateBundle(_, bundle) {
        for (const chunk of Object.values(bundle)) {
          if (chunk.type === "chunk") chunk.code = `/* sources: ${sources()} */\n${chunk.code}`;
        }
      },
    },
  ],
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  test: { environment: "happy-dom", include: ["test/**/*.test.{ts,tsx}"] },
});
