# The image of every service of docker-compose.yaml that runs Python.
FROM python:3.12-slim-bookworm

# Without these, uv would trust only certificates of its own, and make an environment inside the container.
ENV UV_SYSTEM_CERTS=true UV_SYSTEM_PYTHON=true

# The lock, from the index that the secret `package_index` names (a URL), else from PyPI. Compiled: importing the
# libraries takes three times as long without bytecode.
COPY requirements.txt /tmp/
RUN --mount=type=secret,id=package_index \
    if [ -s /run/secrets/package_index ]; then \
      PIP_INDEX_URL="$(cat /run/secrets/package_index)"; export PIP_INDEX_URL UV_DEFAULT_INDEX="$PIP_INDEX_URL"; \
    fi \
 && sed -n '/^uv==/,/[^\\]$/p' /tmp/requirements.txt > /tmp/uv.txt \
 && pip install --quiet --no-cache-dir --no-deps --require-hashes --root-user-action=ignore -r /tmp/uv.txt \
 && uv pip install --quiet --no-cache --require-hashes --compile-bytecode -r /tmp/requirements.txt

# What runs is not root, and owns nothing but its state: a volume that is mounted there takes this owner.
RUN useradd --create-home --uid 10001 modelops && install --directory --owner=modelops --mode=0700 /var/lib/modelops
COPY . /opt/modelops
# The standard library, too: the base image comes without its bytecode.
RUN rm /opt/modelops/requirements.txt \
 && python -m compileall -q -x 'site-packages|/tests?/' /usr/local/lib/python3.12 /opt/modelops

ENV PYTHONPATH=/opt/modelops \
    PYTHONUNBUFFERED=1 \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/modelops/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/modelops/plugins \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/var/lib/modelops/airflow/logs \
    MODELOPS_HOME=/var/lib/modelops
USER modelops
WORKDIR /var/lib/modelops
