"""The facade, transactions, retries, routing, the recorder and the outbox."""

from datalayer import Settings, db
from datalayer.documents import BusinessDocument
from datalayer.fields import StringField


class Job(BusinessDocument):
    name = StringField(required=True)


@db.transactional
def renamed(job: Job, name: str) -> Job:
    job.name = name
    return job.save()


@db.transactional("default", timeout=5.0)
def counted(name: str) -> int:
    return Job.objects(name=name).count()


def run(job: Job) -> None:
    reveal_type(renamed(job, "x"))  # is: Job
    reveal_type(counted("x"))  # is: int
    renamed(job)  # error: Missing positional argument || missing for parameter
    renamed(job, 3)  # error: incompatible type "int" || "Literal[3]" cannot be assigned
    counted(name=3)  # error: incompatible type "int" || "Literal[3]" cannot be assigned
    with db.transaction():
        job.save()
    with db.using(default="archive"):
        job.save()
    with db.deadline(3):
        job.reload()
    with db.connected(Settings(databases={"default": "mongodb://localhost/x"})):
        reveal_type(db.status())  # is: dict[str, Any]
