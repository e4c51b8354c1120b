#!/usr/bin/env bash
# Runs a Python test with the system's interpreter, which has the packages of deploy/setup.sh.
exec /usr/bin/python3 "$@"
