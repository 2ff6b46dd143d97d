"""A nightly ingest for Airflow 3, beside the deployment's own environment. See docs/ingest-api.md.

The worker needs the settings of the deployment (RAGPLATFORM_*) and its folders. A run goes on from
where the last one was, so that a retry repeats nothing.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

SOURCE = "clinical"


@dag(
    schedule="30 1 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # The ledger would keep two runs off the same document; one is enough.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    tags=["ragplatform"],
)
def ingest_clinical() -> None:
    """Plan, so that the log says what is coming; take in; look whether all parts agree."""
    plan = BashOperator(
        task_id="plan",
        bash_command=f"ragplatform-ingest plan --source {SOURCE} --json",
        append_env=True,
        skip_on_exit_code=1,
    )
    # 1 says that all is done and some files wait for a person, 3 that somebody cancelled it: the
    # task is shown as skipped, not failed, and the next one runs all the same. 2 is a failure, and
    # is tried again.
    run = BashOperator(
        task_id="run",
        bash_command=f"ragplatform-ingest run --source {SOURCE} --json",
        append_env=True,
        skip_on_exit_code=[1, 3],
        trigger_rule="none_failed",
        execution_timeout=timedelta(hours=6),
    )
    check = BashOperator(
        task_id="check",
        bash_command="ragplatform-ingest check --json",
        append_env=True,
        trigger_rule="none_failed",
    )
    plan >> run >> check


ingest_clinical()
