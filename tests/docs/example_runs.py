"""Runs the example DAGs of the documentation, one after the other, by Airflow's own `dag.test()`.

Prints as its last line a JSON object: of each DAG the state of its run, its tasks' states, and what they pushed.
The models are stood in for.
"""

import json
import re
import sys
from datetime import datetime
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def main(orders: dict) -> dict:
    from airflow.utils.db import initdb

    initdb()
    _register_the_page_s_provider()
    _stand_in_for_the_models()
    return {name: _run(name, **order) for name, order in orders.items()}


def _run(name: str, slot: str, conf: dict | None = None) -> dict:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(dag_folder=PROJECT / "docs" / "examples" / f"{name}.py", load_op_links=False).dags[name]
    run = dag.test(logical_date=datetime.fromisoformat(slot), run_conf=conf)
    tasks = run.get_task_instances()
    return {
        "state": str(run.state),
        "tasks": {f"{task.task_id}[{task.map_index}]": str(task.state) for task in tasks},
        "pushed": {task.task_id.rpartition(".")[2]: task.xcom_pull(task_ids=task.task_id) for task in tasks},
    }


def _register_the_page_s_provider() -> None:
    page = (PROJECT / "docs" / "write_a_provider.md").read_text(encoding="utf-8")
    names: dict = {"__name__": "page"}
    exec(compile(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], "page", "exec"), names)
    from capture_async import ImageProviderFactory

    ImageProviderFactory.register("night_archive", names["NightArchive"])


def _stand_in_for_the_models() -> None:
    """The silhouettes of a few blocks, whatever the frames show."""
    import inference.serving
    from inference.serving import Observed
    from inference.types import Observation
    from lab.evaluation.silhouette_yard import random_yard

    def observe(capture, bay, store):
        cameras = random_yard(bay, seed=2001, count=4).observe().cameras
        observation = Observation(capture.batch_id, bay.bay_id, cameras)
        reference = store.save("observation", bay.bay_id, capture.batch_id, observation)
        return Observed(reference, len(cameras), sum(len(one.objects) for one in cameras), {}, 0.1)

    inference.serving.observe_capture = observe


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1])), default=str))
