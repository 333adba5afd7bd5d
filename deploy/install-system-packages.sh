#!/usr/bin/env bash
# Packages of the distribution that some tests need: GStreamer's RTSP server, to capture from a real one; FUSE, for a
# shared storage that fails; network namespaces and a wrong clock, for the cluster on one machine; Prometheus with Alertmanager; an MQTT
# broker; a reverse proxy.
# Installs them where it can (Debian or Ubuntu, as root). Elsewhere it says what is missing and succeeds: the tests
# that need them are skipped and say so.
set -euo pipefail

packages=(
  fuse3                       # fusermount3, libfuse3
  iproute2                    # ip netns, veth
  redis-tools                 # Redis with TLS, under another name
  util-linux                  # unshare, setpriv
  gcc                         # for a clock that is off
  openssl                     # certificates of a deployment
  postgresql                  # a server with TLS; those of the wheels have none
  prometheus                  # promtool
  prometheus-alertmanager
  mosquitto                   # an MQTT broker
  nginx                       # the proxy before Flower
  python3-gi
  gir1.2-gst-plugins-base-1.0
  gir1.2-gst-rtsp-server-1.0
  gstreamer1.0-plugins-base   # videotestsrc
  gstreamer1.0-plugins-good   # rtph264pay, rtph265pay, rtpjpegpay, jpegenc
  gstreamer1.0-plugins-bad    # x265enc
  gstreamer1.0-plugins-ugly   # x264enc
)

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    [[ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
  done
else
  missing=("${packages[@]}")
fi
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi
if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    exit 0
  fi
fi
echo "not installed: ${missing[*]}; the tests that need them are skipped (as root: apt-get install ${missing[*]})" >&2
