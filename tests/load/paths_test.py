"""No path outside the store's own folder is changed, and none is read but what every program
reads: strace lists each call that names a file, whoever makes it."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

CHILD = os.environ["ENGRAM_LOAD_CHILD"]
ENGRAM = os.environ["ENGRAM_COMMAND"]
# What loading a program, and asking for the machine's processors and locks, reads.
READ_BY_ALL = ("/lib", "/usr/", "/etc/ld.so.", "/etc/localtime", "/proc/", "/sys/", "/dev/urandom")
# The names of the process's own threads.
OWN_NAMES = re.compile(r"/proc/(self|\d+)/task/\d+/comm$")
CALL = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+=\s+(-?\d+|\?)")
# Another thread's line comes between the two halves of a call that takes longer.
BEGUN = re.compile(r"^(\d+)\s+(\w+\(.*?)\s*<unfinished \.\.\.>$")
ENDED = re.compile(r"^(\d+)\s+<\.\.\. \w+ resumed>\s*(?:<unfinished \.\.\.>)?(.*)$")
NO_CALL = re.compile(r"^\d+\s+(---|\+\+\+) ")  # a signal, or the end of a thread
OPENS = {"open", "openat", "openat2", "creat"}
CHANGES = {"mkdir", "mkdirat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat",
           "symlink", "symlinkat", "unlink", "unlinkat", "truncate", "chmod", "fchmodat", "chown",
           "lchown", "fchownat", "mknod", "mknodat", "utime", "utimes", "utimensat", "setxattr",
           "lsetxattr", "removexattr", "mount"}
# A folder that a descriptor stands for, and the path after it.
NAME = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\.|[^"\\])*)"')


def whole_calls(trace):
    """The lines of a trace, with each call in one; one that never ended has the result `?`."""
    begun = {}
    for line in trace.splitlines():
        first, rest = BEGUN.match(line), ENDED.match(line)
        if first:
            begun[first[1]] = first[2]
        elif rest and rest[1] in begun:
            yield f"{rest[1]} {begun.pop(rest[1])}{rest[2]}"
        else:
            yield line
    for thread, call in begun.items():
        yield f"{thread} {call}) = ?"


def paths_of(arguments, folder):
    """The absolute paths of a call; relative ones are below `folder` or a descriptor's."""
    return [os.path.normpath(os.path.join(at or folder, name))
            for at, name in NAME.findall(arguments)]


def is_below(path, roots):
    return any(path == root or path.startswith(root + "/") for root in roots)


def faults_of(trace, roots, folder):
    """What a trace tells of calls that leave `roots`."""
    faults = []
    for line in whole_calls(trace):
        match = CALL.match(line)
        if not match:
            if not NO_CALL.match(line):
                faults.append("not understood: " + line)
            continue
        call, arguments, result = match.groups()
        if call in OPENS:
            writes = call == "creat" or re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE)", arguments)
            # The directory that a root lies in is opened to be synced.
            parents = [os.path.dirname(root) for root in roots]
            below = [is_below(p, roots) or bool(OWN_NAMES.match(p)) or
                     (not writes and (p in parents or p.startswith(READ_BY_ALL)))
                     for p in paths_of(arguments, folder)[:1]]
        elif call in CHANGES:
            below = [is_below(path, roots) for path in paths_of(arguments, folder)]
        else:
            continue
        # What is not there is not read; that it would be written is a fault all the same.
        if not all(below) and not (call in OPENS and not writes and result == "-1"):
            faults.append(line)
    return faults


class Samples(unittest.TestCase):
    """A rule that cannot fail is none."""

    def test_calls_that_leave_the_folder_are_caught(self):
        for bad in ('7 openat(AT_FDCWD</w>, "/tmp/x", O_RDWR|O_CREAT, 0644) = 3</tmp/x>',
                    '7 openat(AT_FDCWD</w>, "/s/../x", O_WRONLY) = -1 ENOENT (No such file)',
                    '7 openat(AT_FDCWD</w>, "/etc/passwd", O_RDONLY) = 3</etc/passwd>',
                    '7 mkdir("here", 0755) = 0', '7 rename("/s/a", "/t/a") = 0',
                    '7 unlinkat(5</t>, "a", 0) = 0'):
            self.assertEqual(len(faults_of(bad, ["/s"], "/w")), 1, bad)
        for good in ('7 openat(AT_FDCWD</w>, "/s/a", O_RDWR|O_CREAT, 0644) = 3</s/a>',
                     '7 openat(AT_FDCWD</w>, "/proc/locks", O_RDONLY) = 3</proc/locks>',
                     '7 unlinkat(5</s>, "a", 0) = 0', '7 stat("/t", {}) = 0'):
            self.assertEqual(faults_of(good, ["/s"], "/w"), [], good)

    def test_calls_that_others_come_between_are_caught(self):
        begun = '7 openat(AT_FDCWD</w>, "/t/a", O_RDONLY|O_CLOEXEC <unfinished ...>\n'
        other = ('8 mkdir("/s/c", 0755 <unfinished ...>\n9 unlink("/s/b") = 0\n'
                 '8 <... mkdir resumed>) = 0\n')
        for bad in (begun + other + '7 <... openat resumed>) = 3</t/a>',
                    begun + other + '7 <... openat resumed> )      = 3',
                    begun + other + '7 <... openat resumed> <unfinished ...>) = ?',
                    begun + other,  # it never ended
                    other + '7 rename("/s/a", "/t/a" <unfinished ...>\n'
                    '7 <... rename resumed>) = 0'):
            faults = faults_of(bad, ["/s"], "/w")
            self.assertEqual(len(faults), 1, bad)
            self.assertIn("/t/a", faults[0])
        for good in (begun + other + '7 <... openat resumed>) = -1 ENOENT (No such file)',
                     begun.replace("/t/a", "/s/a") + other + '7 <... openat resumed>) = 3</s/a>',
                     '7 readlink("/t" <unfinished ...>\n7 <... readlink resumed>, "x", 9) = 1'):
            self.assertEqual(faults_of(good, ["/s"], "/w"), [], good)

    def test_lines_that_nobody_understands_are_told(self):
        for bad in ('7 <... openat resumed>) = 3', '7 openat(AT_FDCWD</w>, "/s/a"', 'what?'):
            self.assertEqual(len(faults_of(bad, ["/s"], "/w")), 1, bad)
        for good in ('7 --- SIGCHLD {si_signo=SIGCHLD} ---', '7 +++ exited with 0 +++'):
            self.assertEqual(faults_of(good, ["/s"], "/w"), [], good)


class Paths(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="engram-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.away = {}
        for name in ("home", "tmp", "work"):
            self.away[name] = self.root / name
            self.away[name].mkdir()
        self.store = str(self.root / "s")

    def trace(self, command, roots, stop_after=None):
        """Runs a command and expects it to keep to `roots`; with stop_after, until its stdin ends."""
        log = self.root / "trace"
        environment = dict(os.environ, HOME=str(self.away["home"]), TMPDIR=str(self.away["tmp"]))
        with subprocess.Popen(
                ["strace", "-f", "-qq", "-y", "-s", "4096", "-e", "trace=%file", "-o", log] + command,
                cwd=self.away["work"], env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            opened = stop_after is None or process.stdout.readline() == "open\n"
            if stop_after is not None and opened:
                time.sleep(stop_after)
            _, errors = process.communicate(timeout=240)
        if "ptrace" in errors.lower() and "not permitted" in errors:
            self.skipTest("this machine lets nobody trace: " + errors.strip())
        self.assertTrue(opened, (command, errors))
        self.assertEqual(process.returncode, 0, (command, errors))
        faults = faults_of(log.read_text(errors="replace"), roots, str(self.away["work"]))
        self.assertEqual(faults, [], "\n".join(faults[:20]))
        for folder in self.away.values():
            self.assertEqual(list(folder.iterdir()), [])
        return log.read_text(errors="replace")

    def test_everything_stays_in_the_folder(self):
        user = str(os.getuid())
        written = self.trace([CHILD, "write", self.store, user], [self.store], stop_after=3)
        for done in ("rename(", "unlink(", ".ingest", ".log", "MANIFEST-"):
            self.assertIn(done, written)  # else the workload does too little
        self.trace([CHILD, "read", self.store, user, "300", "1"], [self.store])
        for command in ("verify", "stats", "compact"):
            self.trace([ENGRAM, command, self.store], [self.store])
        backup, repaired = str(self.root / "backup"), str(self.root / "repaired")
        self.trace([ENGRAM, "backup", self.store, backup], [self.store, backup, backup + ".tmp"])
        changed = {path: os.stat(path).st_mtime_ns for path in pathlib.Path(self.store).iterdir()}
        self.trace([ENGRAM, "repair", self.store, repaired],
                   [self.store, repaired, repaired + ".repair"])
        self.assertEqual(changed, {path: os.stat(path).st_mtime_ns
                                   for path in pathlib.Path(self.store).iterdir()})


if __name__ == "__main__":
    if shutil.which("strace") is None:
        raise SystemExit("needs strace")
    unittest.main()
