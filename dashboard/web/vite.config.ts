/** One file that runs on the React and the router of Airflow's own page, which are globals there. */
import { defineConfig } from "vitest/config";

const HOST = {
  react: "React",
  "react-dom": "ReactDOM",
  "react/jsx-runtime": "ReactJSXRuntime",
  "react-router-dom": "ReactRouterDOM",
};

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
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  test: { environment: "happy-dom", include: ["test/**/*.test.{ts,tsx}"] },
});
