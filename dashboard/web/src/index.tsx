/** Airflow looks for each component under the name that the plugin gave it (dashboard/plugin.py). */
import { App } from "./App";
import { FloorOfRun, FramesOfTask } from "./runs";
import { Strip } from "./Strip";
import { addStyle } from "./style";

addStyle();
Object.assign(globalThis, { Bays: App, "Bays now": Strip, Floor: FloorOfRun, Frames: FramesOfTask });
