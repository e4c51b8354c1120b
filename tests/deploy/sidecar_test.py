"""The coordinator as it is installed beside a training: the unit for systemd, the container and the manifests for Kubernetes say
what evenkeeld understands, give it no more rights than it needs, and start it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

import yaml

import live_run

ROOT = live_run.RUNFILES
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd/evenkeeld.service"
INSTALLED = "/opt/evenkeel/bin/evenkeeld"
CONFIG = "/etc/evenkeel/evenkeeld.yaml"
# Of `systemd-analyze security`, in tenths: 100 is a unit that restricts nothing.
EXPOSURE = 15

sys.path.insert(0, str(ROOT / "tests"))
import case_report  # noqa: E402


def new_folder(case):
    folder = Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))
    case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


def value_of(setting):
    return re.search(rf"^{setting}=(.*)$", UNIT.read_text(), re.M).group(1)


def flags():
    """The flags that evenkeeld has, by its own help."""
    answer = subprocess.run([live_run.EVENKEELD, "--help"], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^\s+--(\w+) \(", answer, re.M))


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def pod_specs():
    """(manifest, metadata, spec) of each pod that the manifests make."""
    for name in ("sidecar.yaml", "service.yaml"):
        for document in documents(name):
            if document["kind"] in ("Job", "StatefulSet"):
                template = document["spec"]["template"]
                yield name, document["spec"], template["metadata"], template["spec"]


def evenkeeld_of(pod):
    return next(container for container in pod.get("initContainers", []) + pod["containers"]
                if container["name"] == "evenkeeld")


def commands():
    """{where: (arguments, text of the configuration file)} of each way to start evenkeeld."""
    container = (DEPLOY / "container/Containerfile").read_text()
    found = {
        "unit": (value_of("ExecStart").split()[1:], (DEPLOY / "systemd/evenkeeld.yaml").read_text()),
        "container": (yaml.safe_load(re.search(r"^CMD (.*)$", container, re.M).group(1)),
                      (DEPLOY / "container/evenkeeld.yaml").read_text()),
    }
    for name, _, _, pod in pod_specs():
        config = next(document for document in documents(name) if document["kind"] == "ConfigMap")
        found[name] = (evenkeeld_of(pod)["args"], config["data"]["evenkeeld.yaml"])
    return found


class CommandLineTest(unittest.TestCase):
    def test_each_is_understood_by_evenkeeld(self):
        known = flags()
        self.assertIn("config", known)
        for where, (arguments, _) in commands().items():
            for argument in arguments:
                self.assertIn(re.fullmatch(r"--(\w+)(=.*)?", argument).group(1), known, where)

    def make_certificate(self, folder):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                        "-subj", "/CN=evenkeel", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
                       check=True, capture_output=True)

    def resolved(self, text, folder):
        """The configuration with what it names in `folder`, and free ports."""
        config = yaml.safe_load(text)
        config["state_dir"] = str(folder / "state")
        for address in ("listen", "metrics_listen"):
            config[address] = re.sub(r":\d+$", ":0", config[address])
        if "tls" in config:
            self.make_certificate(folder)
            config["tls"] = {"certificate": str(folder / "tls.crt"), "private_key": str(folder / "tls.key")}
        if "identities" in config:
            (folder / "identities.yaml").write_text("identities: [{name: admin, role: OPERATOR, san: ['spiffe://a/b']}]\n")
            config["identities"] = str(folder / "identities.yaml")
        return yaml.safe_dump(config)

    def test_each_starts_reloads_and_stops(self):
        for where, (arguments, text) in commands().items():
            folder = new_folder(self)
            self.assertIn(f"--config={CONFIG}", arguments, where)
            (folder / "evenkeeld.yaml").write_text(self.resolved(text, folder))
            coordinator = live_run.Coordinator(
                folder, [argument.replace(CONFIG, f"{folder}/evenkeeld.yaml") for argument in arguments])
            self.addCleanup(coordinator.stop, signal.SIGKILL)
            port = coordinator.metrics.rpartition(":")[2]
            for path in ("/readyz", "/healthz", "/metrics"):
                self.assertEqual(live_run.get(f"127.0.0.1:{port}", path)[0], 200, f"{where}: {path}")
            coordinator.process.send_signal(signal.SIGHUP)
            self.assertEqual(live_run.get(f"127.0.0.1:{port}", "/healthz")[0], 200, where)
            self.assertEqual(coordinator.stop(), 0, f"{where}:\n{coordinator.log.read_text()}")


class UnitTest(unittest.TestCase):
    def unit_here(self):
        """The unit, with the evenkeeld of this test in place of an installed one."""
        text = UNIT.read_text()
        self.assertIn(f"ExecStart={INSTALLED} ", text)
        path = new_folder(self) / UNIT.name
        path.write_text(text.replace(INSTALLED, str(live_run.EVENKEELD)))
        return path

    def analyze(self, *arguments):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        answer = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
        return answer.stdout + answer.stderr

    def test_systemd_understands_it(self):
        self.assertEqual(self.analyze("verify", self.unit_here()), "")

    def test_it_has_few_rights(self):
        self.analyze("security", "--offline=true", f"--threshold={EXPOSURE}", self.unit_here())

    def test_its_state_is_where_it_may_write(self):
        config = yaml.safe_load((DEPLOY / "systemd/evenkeeld.yaml").read_text())
        self.assertEqual(config["state_dir"], f"/var/lib/{value_of('StateDirectory')}")

    def test_it_runs_under_systemd(self):
        """On a systemd of its own, that of this machine started once more in namespaces."""
        if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists():
            self.skipTest("booting systemd takes root, and systemd")
        folder = new_folder(self)
        tarball = next((DEPLOY / "package/tarball").iterdir())
        with tarfile.open(tarball) as tar:
            if any(re.search(r"/lib/lib(.|ub)san\.so", name) for name in tar.getnames()):
                self.skipTest("built with a sanitizer, which needs more than the unit lets it")
        shutil.copy(tarball, folder)
        shutil.copytree(UNIT.parent, folder / "deploy/systemd")
        commands_of_readme = re.search(r"^## On a machine.*?^```sh\n(.*?)^```", (DEPLOY / "README.md").read_text(), re.M | re.S)
        (folder / "install_commands").write_text(commands_of_readme.group(1))
        tests = ROOT / "tests/deploy"
        boot = ["timeout", "--signal=KILL", "180", tests / "boot_systemd.sh", tests / "unit_under_systemd.sh", folder]
        outcome = subprocess.run(boot, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said, status = folder / "said", folder / "status"
        if not said.exists():
            self.skipTest(f"this machine does not let a test boot systemd: {outcome.stderr.strip()}")
        self.assertEqual(status.read_text().strip() if status.exists() else "killed", "0", said.read_text())


class ContainerTest(unittest.TestCase):
    def setUp(self):
        self.lines = (DEPLOY / "container/Containerfile").read_text()

    def test_it_runs_what_it_copied_as_nobody(self):
        last = self.lines.rpartition("\nFROM ")[2]
        self.assertRegex(last, r"(?m)^USER 65532:65532$")
        self.assertLess(last.index("RUN "), last.index("USER "))
        self.assertIn(f'ENTRYPOINT ["{INSTALLED}"]', last)
        self.assertIn(f"evenkeeld.yaml {CONFIG}\n", last)
        self.assertRegex(last, r"(?m)^VOLUME /var/lib/evenkeel$")

    def test_what_it_copies_from_the_tree_is_there(self):
        for source in re.findall(r"^COPY (?!--from)(\S+) ", self.lines, re.M):
            self.assertTrue(source == "." or (ROOT / source).exists(), source)

    def test_its_ports_are_those_of_its_configuration(self):
        config = yaml.safe_load((DEPLOY / "container/evenkeeld.yaml").read_text())
        ports = [config[address].rpartition(":")[2] for address in ("listen", "metrics_listen")]
        self.assertIn(f"EXPOSE {' '.join(ports)}\n", self.lines)


class KubernetesTest(unittest.TestCase):
    def test_every_document_says_what_it_is(self):
        for name in ("sidecar.yaml", "service.yaml", "podmonitor.yaml"):
            for document in documents(name):
                self.assertEqual({"apiVersion", "kind", "metadata"} - set(document), set(), name)
                self.assertEqual(document["metadata"]["labels"], {"app.kubernetes.io/name": "evenkeel"}, name)

    def test_probes_ask_for_pages_that_are_served(self):
        for name, _, _, pod in pod_specs():
            container = evenkeeld_of(pod)
            ports = {port["name"] for port in container["ports"]}
            for probe, path in (("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
                self.assertEqual(container[probe]["httpGet"]["path"], path, name)
                self.assertIn(container[probe]["httpGet"]["port"], ports, name)

    def test_ports_are_those_of_the_configuration(self):
        for name, _, metadata, pod in pod_specs():
            config = yaml.safe_load(commands()[name][1])
            ports = {port["name"]: str(port["containerPort"]) for port in evenkeeld_of(pod)["ports"]}
            self.assertEqual(ports["metrics"], config["metrics_listen"].rpartition(":")[2], name)
            self.assertEqual(ports.get("grpc", "7411"), config["listen"].rpartition(":")[2], name)
            self.assertEqual(metadata["annotations"]["prometheus.io/port"], ports["metrics"], name)

    def test_what_is_mounted_is_there_and_what_is_read_is_mounted(self):
        for name, outer, _, pod in pod_specs():
            claims = {claim["metadata"]["name"] for claim in outer.get("volumeClaimTemplates", [])}
            volumes = {volume["name"] for volume in pod["volumes"]} | claims
            mounts = evenkeeld_of(pod)["volumeMounts"]
            self.assertEqual({mount["name"] for mount in mounts}, volumes, name)
            made = {(document["kind"], document["metadata"]["name"]) for document in documents(name)}
            for volume in pod["volumes"]:
                if "configMap" in volume:
                    self.assertIn(("ConfigMap", volume["configMap"]["name"]), made, name)
                if "persistentVolumeClaim" in volume:
                    self.assertIn(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]), made, name)
            config = yaml.safe_load(commands()[name][1])
            for path in [CONFIG, config["state_dir"], *config.get("tls", {}).values(), config.get("identities", CONFIG)]:
                self.assertTrue(any(path == mount["mountPath"] or path.startswith(mount["mountPath"] + "/")
                                    for mount in mounts), f"{name}: {path}")

    def test_no_mount_is_within_another(self):
        for name, _, _, pod in pod_specs():
            paths = [mount["mountPath"] + "/" for mount in evenkeeld_of(pod)["volumeMounts"]]
            for path in paths:
                self.assertEqual([other for other in paths if other.startswith(path)], [path], name)

    def test_it_has_no_rights(self):
        for name, _, _, pod in pod_specs():
            context = evenkeeld_of(pod)["securityContext"]
            self.assertTrue(context["runAsNonRoot"] and context["readOnlyRootFilesystem"], name)
            self.assertFalse(context["allowPrivilegeEscalation"], name)
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, name)
            self.assertEqual(pod["securityContext"]["fsGroup"], context["runAsGroup"], name)
            self.assertIn("memory", evenkeeld_of(pod)["resources"]["limits"], name)

    def test_buffers_fit_into_its_memory(self):
        units = {"Mi": 1 << 20, "Gi": 1 << 30}
        for name, _, _, pod in pod_specs():
            limit = evenkeeld_of(pod)["resources"]["limits"]["memory"]
            buffers = yaml.safe_load(commands()[name][1])["limits"]["max_buffer_bytes"]
            self.assertLessEqual(buffers * 2, int(limit[:-2]) * units[limit[-2:]], name)

    def test_whoever_selects_pods_finds_them(self):
        labels = [metadata["labels"] for _, _, metadata, _ in pod_specs()]
        service, = (document for document in documents("service.yaml") if document["kind"] == "Service")
        monitor, = documents("podmonitor.yaml")
        for selector in (service["spec"]["selector"], monitor["spec"]["selector"]["matchLabels"]):
            for of_pod in labels:
                self.assertLessEqual(set(selector.items()), set(of_pod.items()))

    def test_the_monitor_scrapes_as_prometheus_does(self):
        scrapes = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
        monitor, = documents("podmonitor.yaml")
        seen = [(endpoint["path"], endpoint["honorLabels"], endpoint["relabelings"][0]["replacement"])
                for endpoint in monitor["spec"]["podMetricsEndpoints"]]
        self.assertEqual(seen, [(scrape.get("metrics_path", "/metrics"), scrape["honor_labels"], scrape["job_name"])
                                for scrape in scrapes])


if __name__ == "__main__":
    case_report.main()
