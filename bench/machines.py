"""The machines that are compared, and how one is started, watched and ended. Used by vs-qemu and unit-costs."""
import os
import pathlib
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
QEMU_CPUS = {"qemu-max": "max,pauth=off", "qemu-n1": "neoverse-n1"}
TITLES = {"adyton": "Adyton", "qemu-max": "QEMU `-cpu max,pauth=off`", "qemu-n1": "QEMU `-cpu neoverse-n1`"}


class BenchError(Exception):
    """Something that the user can put right; its text is the message."""


def add_machine_options(parser):
    parser.add_argument("--build", type=pathlib.Path, default=REPO / "build/release", metavar="DIR",
                        help="build directory (default: build/release)")
    parser.add_argument("--adyton", type=pathlib.Path, metavar="PROGRAM",
                        help="the adyton or boot_probe to measure (default: BUILD/bin/adyton)")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PROGRAM", help="the QEMU to compare with")
    parser.add_argument("--systems", default="adyton,qemu-max,qemu-n1", metavar="LIST",
                        help="which of adyton, qemu-max, qemu-n1 to run")
    parser.add_argument("--smp", type=int, default=2, metavar="N", help="virtual CPUs (default: 2)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB", help="guest memory in MiB (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="interleaved rounds (default: 5)")
    parser.add_argument("--only", default="", metavar="PREFIXES",
                        help="rows whose name begins with one of these, separated by commas")
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS",
                        help="time that one boot may take (default: 900)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")


def systems_of(options):
    names = [name for name in options.systems.split(",") if name]
    for name in names:
        if name not in TITLES:
            raise BenchError(f"there is no system '{name}': choose from {', '.join(TITLES)}")
    if options.smp < 1 or options.rounds < 1 or options.memory < 64:
        raise BenchError("--smp and --rounds begin at 1, --memory at 64")
    if "adyton" in names:
        options.adyton = (options.adyton or options.build / "bin/adyton").resolve()
        if not os.access(options.adyton, os.X_OK):
            raise BenchError(f"{options.adyton} is not there: build it (cmake --preset release && cmake --build --preset release) "
                             "or name it with --adyton")
    if any(name.startswith("qemu") for name in names) and not shutil.which(options.qemu):
        raise BenchError(f"{options.qemu} is not there: scripts/install-packages bench installs it")
    return names


def command_for(system, options, kernel, initrd=None, append=""):
    """The command line that boots `kernel` with the serial console on stdin and stdout."""
    boot = ["--kernel" if system == "adyton" else "-kernel", str(kernel)]
    if initrd:
        boot += ["--initrd" if system == "adyton" else "-initrd", str(initrd)]
    if append:
        boot += ["--append" if system == "adyton" else "-append", append]
    if system != "adyton":
        return [options.qemu, "-M", "virt,gic-version=3", "-accel", "tcg", "-cpu", QEMU_CPUS[system], "-smp", str(options.smp),
                "-m", str(options.memory), "-nic", "none", "-display", "none", "-serial", "stdio", "-monitor", "none",
                "-no-reboot"] + boot
    if options.adyton.name == "boot_probe":
        return [str(options.adyton), "--smp", str(options.smp), "--memory", str(options.memory)] + boot
    # Without the service, the VM is this program's child, whose memory is measured.
    return [str(options.adyton), "run", "--quiet", "--no-service", "--smp", str(options.smp), "--memory", f"{options.memory}M"] + boot


def process_tree(root):
    """`root` and its descendants."""
    tree = [root]
    for pid in tree:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                tree += [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
        except OSError:
            pass
    return tree


def resident_mib(root, field):
    """VmRSS or VmHWM of a process and its descendants."""
    total = 0
    for pid in process_tree(root):
        try:
            match = re.search(rf"^{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
            total += int(match[1]) if match else 0
        except OSError:
            pass
    return total / 1024


class Run:
    """One boot: its console by lines, each with the time since the start."""

    def __init__(self, command, timeout):
        self.command = command
        self.timeout = timeout
        self.peak_mib = 0.0
        self.tail = []
        # The machine gets a session of its own, so that ending it ends its children.
        self.start = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    def lines(self):
        pending = b""
        descriptor = self.process.stdout.fileno()
        while True:
            left = self.start + self.timeout - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise BenchError(f"no end after {self.timeout:.0f} s")
            chunk = os.read(descriptor, 65536)
            elapsed = time.monotonic() - self.start
            if not chunk:
                return
            pending += chunk
            *complete, pending = pending.split(b"\n")
            for raw in complete:
                line = raw.decode(errors="replace").strip("\r ")
                self.tail = (self.tail + [line])[-8:]
                yield elapsed, line

    def finish(self):
        """Waits for the machine to end; returns its exit status."""
        try:
            deadline = time.monotonic() + 20
            while True:
                pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > deadline:
                    raise BenchError("the guest is done, the machine does not end")
                time.sleep(0.01)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.peak_mib = max(self.peak_mib, usage.ru_maxrss / 1024)
            return self.process.returncode
        finally:
            self.kill()

    def kill(self):
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        self.process.stdout.close()


def find_kernel(options):
    """The kernel that adyton keeps in its cache; fetched by `adyton prepare` when there is none."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "adyton"
    newest = lambda: max(cache.glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime, default=None)
    if not newest():
        program = options.build / "bin/adyton"
        if not os.access(program, os.X_OK):
            raise BenchError(f"no kernel: {program}, whose 'prepare' fetches it, is not built; name one with --kernel")
        subprocess.run([program, "prepare"], check=True, stdout=sys.stderr)
    if not newest():
        raise BenchError("no kernel: name one with --kernel")
    return newest()


class CpioWriter:
    """An initramfs archive in the "newc" format (Linux Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.archive = bytearray()
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        self.archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.archive += bytes(-len(self.archive) % 4) + data
        self.archive += bytes(-len(self.archive) % 4)

    def directory(self, name):
        self.add(name, 0o040755)

    def program(self, name, source):
        self.add(name, 0o100755, pathlib.Path(source).read_bytes())

    def finish(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.archive) + bytes(-len(self.archive) % 512)


def library_path(name):
    """Where the cross compiler keeps a library for the guest."""
    compiler = shutil.which("aarch64-linux-gnu-g++") or shutil.which("aarch64-linux-gnu-g++-12")
    found = ""
    if compiler:
        found = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(found):
        raise BenchError(f"{name} for the guest is not there: scripts/install-packages build installs it")
    return found


def write_initrd(options, path):
    programs = options.build / "share/adyton-bench"
    if not (programs / "guest-bench").exists():
        raise BenchError(f"{programs / 'guest-bench'} is not built: cmake --build {options.build} --target adyton_guest_bench")
    cpio = CpioWriter()
    for directory in ("dev", "proc", "tmp", "bin", "lib"):
        cpio.directory(directory)
    cpio.add("dev/console", 0o020600, device=(5, 1))
    cpio.program("init", programs / "guest-bench")
    cpio.program("bin/guest-nothing", programs / "guest-nothing")
    for library in ("ld-linux-aarch64.so.1", "libc.so.6"):
        cpio.program(f"lib/{library}", library_path(library))
    pathlib.Path(path).write_bytes(cpio.finish())


def describe_host(options, systems, kernel=None):
    """What a reader needs to judge the numbers: one string per line."""
    cpu = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        memory = int(meminfo.readline().split()[1]) / (1 << 20)
    commit = subprocess.run(["git", "-C", REPO, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    lines = [f"Date: {time.strftime('%Y-%m-%d')}",
             f"Host: {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} CPUs, {memory:.0f} GiB, "
             f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f} at the start"]
    if "adyton" in systems:
        # The checkout may have moved on since the program was built: say when that was.
        built = time.strftime("%Y-%m-%d %H:%M", time.localtime(options.adyton.stat().st_mtime))
        lines.append(f"Adyton: {options.adyton.name} built {built}; the checkout is at {commit or 'no commit'}")
    if any(name.startswith("qemu") for name in systems):
        lines.append(subprocess.run([options.qemu, "--version"], capture_output=True, text=True).stdout.splitlines()[0])
    if kernel:
        release = re.search(rb"Linux version (\S+)", pathlib.Path(kernel).read_bytes())
        lines.append(f"Guest kernel: {release[1].decode() if release else pathlib.Path(kernel).name}")
    lines.append(f"Guest: {options.smp} CPUs, {options.memory} MiB; {options.rounds} interleaved rounds")
    return lines


def progress(text):
    print(text, file=sys.stderr, flush=True)


def main_guard(main):
    """Runs main() and turns its errors into one line and exit code 1; Ctrl-C ends quietly."""
    try:
        return main()
    except BenchError as error:
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def scratch_directory():
    return tempfile.TemporaryDirectory(prefix="adyton-bench-")
