"""STAND-IN for OpenFace FeatureExtraction - not OpenFace.

A program for the tests, made executable by `standin_install.install`; never part of the package. It behaves on the
command line as the contract in shared/openface says the real one does, replays recorded runs, and makes up the rest.

    standin.py CONFIG_JSON ARGV0 [the arguments of FeatureExtraction]
"""

import json
import os
import re
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import standin_texts as texts
from standin_options import Options, parse
from standin_play import Act, Playbill, as_acts, count, log
from standin_voice import abort, noise, say, sleep_for_ever, uncaught

if TYPE_CHECKING:
    from standin_inputs import Seen, Source

WINDOWS = {"-verbose", "-vis-track", "-vis-align", "-vis-hog", "-vis-aus"}


def load_models(options: Options, home: str, known: bool) -> None:
    """Print what loading prints, or refuse with rc 1. The models are looked for in the cwd, then beside argv[0]."""
    mloc = options.values.get("-mloc", "model/main_ceclm_general.txt")
    found = next((path for path in (mloc, f"{home}/{mloc}" if known else mloc) if Path(path).is_file()), None)
    if found is None:
        say(texts.NO_MODEL)
        if not known:
            say("Could not find the HAAR face detector location\nCould not find the MTCNN face detector location")
        say(texts.NO_MODEL)
        say(f"Reading the landmark detector/tracker from: {mloc}\nCouldn't open the model file, aborting")
        say(texts.NOT_LOADED)
        raise SystemExit(1)
    kind = next((kind for kind in ("ceclm", "clnf", "clm") if kind in Path(mloc).stem), "clnf")
    base = str(Path(found).parent.parent)
    for line in texts.landmark_model(found, base, kind):
        say(line)
    for line in texts.experts(base, kind):
        if kind == "ceclm" and not Path(line.removesuffix("....").partition("from: ")[2]).is_file():
            say(f"{line}{texts.NO_CEN}\n{texts.NOT_LOADED}")
            raise SystemExit(1)
        say(f"{line}Done")
    for line in texts.parts(base):
        say(line)
    if "-simsize" in options.values and not re.match(r"\s*[+-]?\d", options.values["-simsize"]):
        uncaught("std::invalid_argument", "stoi")
    for line in texts.action_units(home):
        say(line)


def open_input(kind: str, path: str, config: dict[str, Any]) -> "Source | None":
    """The opened input, or None after saying why not."""
    say(f"Attempting to read from {'file' if kind == '-f' else 'directory'}: {path}")
    if kind == "-fdir":
        if not Path(path).exists():
            say(f"Provided directory does not exist: {path}")
            return None
        if not Path(path).is_dir():
            uncaught(
                "boost::filesystem::filesystem_error",
                f'boost::filesystem::directory_iterator::construct: Not a directory: "{path}"',
            )
        from standin_inputs import image_files, open_sequence

        images = image_files(path)
        if not images:
            say(f"No images found in the directory: {path}")
            return None
        return open_sequence(images, config)
    source = None
    if "%" in path or "://" in path or (Path(path).is_file() and Path(path).stat().st_size):
        from standin_inputs import open_video

        source = open_video(path, config)
    if source is None:
        noise("[ WARN:0@0.060] STAND-IN noise: GStreamer warning: GStreamer: pipeline have not been created")
        say(f"Failed to open the video file at location: {path}")
    return source


class Program:
    """One run."""

    def __init__(self, config_file: Path, argv0: str, arguments: list[str]) -> None:
        self.config: dict[str, Any] = json.loads(config_file.read_text())
        here = config_file.parent
        self.run = count(here, "run")
        play = json.loads(os.environ["STANDIN_PLAY"]) if "STANDIN_PLAY" in os.environ else self.config["play"]
        self.playbill = Playbill(as_acts(play), here, self.run)
        self.argv0, self.arguments = argv0, arguments
        self.options = parse(arguments)
        self.detector_loaded = False

    def __call__(self) -> None:
        process = self.playbill.process
        time.sleep(process.get("startup_s", 0))
        noise("[ WARN:0] STAND-IN noise" + "\n[noise]" * (process.get("noise_bytes", 0) // 8))
        say(texts.FIRST_LINE)
        if not self.arguments:
            say(texts.NO_ARGUMENTS, end="")
            return
        home, slash, _ = self.argv0.rpartition("/")
        self.home = home or "/"
        load_models(self.options, self.home, bool(slash) and not process.get("argv0_without_directory"))
        for done, (kind, path) in enumerate(self.options.inputs):
            if done == process.get("stop_after_inputs"):
                return
            name = self.options.names[done] if done < len(self.options.names) else None
            if not self.process_input(kind, path, name):
                return

    def process_input(self, kind: str, path: str, name: str | None) -> bool:
        """False: it could not be opened, which ends the batch."""
        own = Path(path.rstrip("/")).name if kind == "-fdir" else Path(path).stem
        act = self.playbill.for_input(path, {own} if name is None else {own, Path(name).stem})
        if act.get("abort") == "before":
            abort("terminate called without an active exception (played)")
        if "rc" in act and "rc_at_frame" not in act:
            say(act.get("stdout", ""), end="")
            raise SystemExit(act["rc"])
        source = open_input(kind, path, self.config)
        if source is None:
            return False
        say("Device or file opened")
        from standin_record import Recorder

        recorder = Recorder(self.options, self.config["dialect"], path, own, name, source)
        one_cpu = self.config["dialect"] == "2.0" and self.config["one_cpu_hang"]
        if act.get("hang") or (one_cpu and len(os.sched_getaffinity(0)) == 1):
            sleep_for_ever()
        say("Starting tracking")
        if not self.detector_loaded:
            self.detector_loaded = True
            for line in texts.face_detector(self.home):
                say(line)
        if self.options.flags & WINDOWS and not os.environ.get("DISPLAY"):
            abort(texts.NO_WINDOW)
        self.track(source, act, recorder)
        return True

    def track(self, source: "Source", act: Act, recorder: Any) -> None:
        from standin_inputs import played

        reported = 0
        for seen in played(source, act, mask="-nomask" not in self.options.flags):
            self.at_frame(seen, act)
            if seen.frame == act.get("stop_at_frame"):
                break
            recorder.write(seen, act)
            if reported <= 10 and seen.frame / max(source.promised, 1) >= reported / 10:
                say(f"{reported * 10}% ", end="\n" if reported == 10 else "", flush=False)
                reported += 1
        if act.get("abort") == "after":
            abort("terminate called without an active exception (played)")
        say("Closing output recorder")
        recorder.close(act)
        say("Closing input reader\nClosed successfully")
        if self.options.asked("-aus"):
            say("Postprocessing the Action Unit predictions")

    def at_frame(self, seen: "Seen", act: Act) -> None:
        time.sleep(act.get("frame_s", 0))
        if seen.frame == act.get("hang_at_frame"):
            sleep_for_ever()
        if seen.frame == act.get("abort_at_frame"):
            abort("terminate called without an active exception (played)")
        if seen.frame == act.get("rc_at_frame"):
            say(act.get("stdout", ""), end="")
            raise SystemExit(act.get("rc", 1))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    config_file = Path(sys.argv[1])
    program = Program(config_file, sys.argv[2], sys.argv[3:])
    started: dict[str, Any] = {"run": program.run, "pid": os.getpid(), "argv": sys.argv[2:], "cwd": str(Path.cwd())}
    started |= {"cpus": sorted(os.sched_getaffinity(0)), "at": time.time()}
    log(config_file.parent, event="start", **started)
    rc = 0
    try:
        program()
    except SystemExit as end:
        rc = int(end.code or 0)
    except Exception:
        traceback.print_exc()  # a bug of the stand-in, no imitation
        rc = 99
    sys.stdout.flush()
    log(config_file.parent, event="end", run=program.run, pid=os.getpid(), rc=rc, at=time.time())
    os._exit(rc)


if __name__ == "__main__":
    main()
