# One image for every service of a deployment. See docs/deploy.md.
#
# The project lives in a virtual environment of its own, with exactly what constraints.txt pins, so that
# the image is the same on every base. A base needs Debian's apt and a Python 3.11 to 3.13 with venv:
#   docker build .                                             # on the official Airflow image
#   docker build --build-arg BASE_IMAGE=python:3.12-slim .     # on a plain one
ARG BASE_IMAGE=apache/airflow:3.3.2
FROM ${BASE_IMAGE}

USER root
# What OpenCV loads.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
# The official image has this user. Its group is 0, so that any other uid may take its place.
RUN id airflow >/dev/null 2>&1 || useradd --uid 50000 --gid 0 --create-home airflow

# Where pip looks is the builder's affair: wheels/, a pip.conf, and the certificates that the builder trusts.
# A CPU build of torch in wheels/ comes before the registry's build for CUDA, which is 5 GB larger.
ARG EXTRAS=observer,postgres
ENV PATH=/opt/bay_observation/bin:${PATH} \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_USER=0
RUN --mount=type=bind,source=pyproject.toml,target=/build/pyproject.toml \
    --mount=type=bind,source=constraints.txt,target=/build/constraints.txt \
    --mount=type=bind,source=docker/requirements.py,target=/build/requirements.py \
    --mount=type=bind,source=wheels,target=/build/wheels \
    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && python3 -m venv /opt/bay_observation \
    && python /build/requirements.py "${EXTRAS}" >/tmp/requirements.txt \
    && pip install --find-links /build/wheels --constraint /build/constraints.txt --requirement /tmp/requirements.txt \
    && rm /tmp/requirements.txt

# The project itself, a layer of a few megabytes: an upgrade transfers no more. Installed as a package, because
# Airflow imports triggers by name, and not from the folder of DAG files.
RUN --mount=type=bind,target=/source \
    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && pip install --no-deps /source \
    && pip check

COPY dags /opt/airflow/dags
COPY --chmod=755 docker/bin/ /usr/local/bin/
# Group 0 may write, whatever the uid: named volumes take owner and mode of these folders.
RUN mkdir -p /opt/airflow/data /opt/airflow/spool /opt/airflow/logs /run/bay_observation \
    && chown -R airflow:0 /opt/airflow /run/bay_observation \
    && chmod -R g=u /opt/airflow /run/bay_observation
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    DATA_PATH=/opt/airflow/data \
    PYTHONUNBUFFERED=1
WORKDIR /opt/airflow
USER airflow
ENTRYPOINT []
CMD ["airflow", "version"]
