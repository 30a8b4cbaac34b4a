"""A hub for a class on one machine: learners sign up, systemd limits them, one cache for all.

    python3 -m venv /srv/hub && /srv/hub/bin/pip install -r teaching/hub/requirements.txt
    npm install -g configurable-http-proxy@5.3.0
    /srv/hub/bin/jupyterhub -f teaching/hub/jupyterhub_config.py

`COURSE` is a clone whose environment `make .venv/learner` has made, with
`.venv/bin/pip install jupyterhub==6.1.1` besides; the cache is filled once by
`COURSE_CACHE=/srv/course-cache .venv/bin/python -m utils.models`. Learners can read both and write
neither. Paths can be set by the environment, so that all of this can be tried as an ordinary user.
"""

import os
import shutil
import sys
from pathlib import Path

c = get_config()  # noqa: F821
COURSE = Path(os.environ.get("HUB_COURSE", "/srv/course"))
CACHE = Path(os.environ.get("HUB_CACHE", "/srv/course-cache"))
HOMES = Path(os.environ.get("HUB_HOMES", "/home"))
PROGRESS = Path(os.environ.get("HUB_PROGRESS", "/srv/course-progress"))

c.JupyterHub.bind_url = os.environ.get("HUB_URL", "http://:8000")  # put a proxy with TLS in front
c.JupyterHub.authenticator_class = "native"  # they sign up, and the teacher lets them in
c.Authenticator.admin_users = {"teacher"}
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "systemd"
c.SystemdSpawner.unit_name_template = "course-{USERNAME}"
c.SystemdSpawner.mem_limit = "3G"
c.SystemdSpawner.cpu_limit = 2.0
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.isolate_devices = True
c.SystemdSpawner.disable_user_sudo = True
c.SystemdSpawner.readonly_paths = ["/"]
c.SystemdSpawner.readwrite_paths = [f"{HOMES}/{{USERNAME}}", f"{PROGRESS}/{{USERNAME}}"]

c.Spawner.cmd = [str(COURSE / ".venv/bin/jupyterhub-singleuser")]
c.Spawner.default_url = "/lab/tree/course/00_start_here.ipynb"
c.Spawner.notebook_dir = f"{HOMES}/{{username}}"
c.Spawner.environment = {
    "COURSE_CACHE": str(CACHE),
    "COURSE_HOME": lambda spawner: str(PROGRESS / spawner.user.name),
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


def give_notebooks(spawner):
    """Before a server starts: the notebooks that the learner lacks. Their work is never touched."""
    name = spawner.user.name
    mine, progress = HOMES / name / "course", PROGRESS / name
    mine.mkdir(parents=True, exist_ok=True)
    progress.mkdir(parents=True, exist_ok=True)
    progress.chmod(0o750)  # the teacher's group may count what is right
    new = [n for n in (COURSE / "notebooks").glob("*.ipynb") if not (mine / n.name).exists()]
    for notebook in new:
        shutil.copy(notebook, mine)
    if os.geteuid() == 0:
        group = PROGRESS.stat().st_gid
        shutil.chown(progress, name, group)
        for path in (mine, *(mine / n.name for n in new)):
            shutil.chown(path, name, name)


c.Spawner.pre_spawn_hook = give_notebooks
c.JupyterHub.services = [
    {
        "name": "cull",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"],
    }
]
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
c.JupyterHub.load_roles = [{"name": "cull", "scopes": scopes, "services": ["cull"]}]
