#!/usr/bin/env bash
# Library:   mlflow-skinny 3.17.2.
# Guess:     "mlflow-skinny" is the tracking client without the server and the SQL: a script logs a run into
#            ./mlruns, as MLflow has done by default for years, and a full MLflow reads it later.
# Behaviour: On its own machine it logs nowhere. The default is a SQLite file, for which the skinny package
#            lacks SQLAlchemy: start_run() raises that "model registry functionality is unavailable", although no
#            model is registered. And a folder is refused as being "in maintenance mode", until MLFLOW_ALLOW_FILE_STORE
#            is set. So what was written for the small package needs a server, the large package, or that variable.
# Seen:      by default: UnsupportedModelRegistryStoreURIException; ./mlruns: MlflowException, maintenance mode: True;
#            with the variable: loss 1.5
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile mlflow-skinny==3.17.2
cat >run.py <<'EOF'
import sys

import mlflow

if len(sys.argv) > 1:
    mlflow.set_tracking_uri(sys.argv[1])
try:
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.5)
    print("loss", mlflow.get_run(run.info.run_id).data.metrics["loss"])
except Exception as error:
    print(type(error).__name__, "maintenance mode:", "maintenance mode" in str(error))
EOF
seen=$(
    venv/bin/python -W ignore run.py 2>/dev/null
    venv/bin/python -W ignore run.py "file://$tmp/mlruns" 2>/dev/null
    MLFLOW_ALLOW_FILE_STORE=true venv/bin/python -W ignore run.py "file://$tmp/mlruns" 2>/dev/null
)
echo "$seen"
[ "$seen" = "UnsupportedModelRegistryStoreURIException maintenance mode: False
MlflowException maintenance mode: True
loss 1.5" ]
