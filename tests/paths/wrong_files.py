"""More of wrong_commands.py: files that are not what they should be, and disks and processes in the way."""

from wrong_commands import BUILD, EXPORT, PREDICT, RUN, TRAIN, Wrong, prep

MANIFEST = "fer-prep build --dataset manifest --manifest videos/l.csv --out out"


def manifest(what: str, before: str, *says: str, quick: bool = False) -> Wrong:
    """A build by a manifest that is made from the good one."""
    return prep(what, MANIFEST, *says, before=f"cd videos && {before}; cd ..", quick=quick)


MANIFESTS = (
    prep("no manifest", "fer-prep build --dataset manifest --root videos --out out",
         "manifest cannot be read (No such file or directory); give a CSV with --manifest"),
    prep("a recipe for the manifest", "fer-prep build --dataset manifest --manifest r.toml --root videos --out out",
         "its first line must name at least file, subject, label", before="fer-prep recipe manifest > r.toml"),
    prep("the manifest for a recipe", f"{BUILD} --out out --recipe videos/labels.csv",
         "recipe is not valid TOML", "fer-prep recipe DATASET prints one to begin with"),
    prep("no recipe", f"{BUILD} --out out --recipe nowhere.toml", "recipe cannot be read", "give --recipe a TOML file"),
    prep("a slip in a recipe", f"{BUILD} --out out --recipe r.toml", "align.face_sise is no key of a recipe; allowed",
         before="printf '[align]\\nface_sise = 64\\n' > r.toml"),
    prep("a video for the manifest", "fer-prep build --dataset manifest --manifest videos/anna.mp4 --out out",
         "manifest is no UTF-8 CSV", "save it as CSV UTF-8"),
    manifest("an empty manifest", ": > l.csv", "has the columns none", "its first line must name at least", quick=True),
    manifest("no row", "head -1 labels.csv > l.csv", "has a header but no rows; write one for each video"),
    manifest("no header", "tail -n +2 labels.csv > l.csv", "its first line must name at least file, subject, label"),
    manifest("another column", "sed s/subject/person/ labels.csv > l.csv", "not subject; its first line must name"),
    manifest("semicolons", "tr , ';' < labels.csv > l.csv", "has semicolons between its columns; save it as CSV",
             quick=True),
    manifest("Latin-1", r"printf 'file,subject,label\nanna.mp4,j\xfcrgen,joy\n' > l.csv", "save it as CSV UTF-8"),
    manifest("UTF-16", "iconv -t UTF-16 labels.csv > l.csv", "save it as CSV UTF-8"),
    manifest("a workbook named .csv", r"printf 'PK\x03\x04\x14\x00\x06\xff' > l.csv",
             "is a workbook, as of Excel; save its sheet as CSV UTF-8"),
    manifest("a row too long", "cp labels.csv l.csv; echo a,b.mp4,x,joy >> l.csv", "line 4: the row has more fields"),
    manifest("a path upwards", "cp labels.csv l.csv; echo ../a.mp4,x,joy >> l.csv", "line 4: file is '../a.mp4'"),
    manifest("a file twice", "cp labels.csv l.csv; echo anna.mp4,x,joy >> l.csv", "anna.mp4 is listed twice"),
    prep("--select matches nothing", f"{BUILD} --out out --select 'zoe/*'", "matches none of 2 recordings; the first"),
    prep("a class that is not there", f"{BUILD} --out out --classes joy,sadness", "the classes of manifest are anger"),
)  # fmt: skip

VIDEOS = (
    prep("a row without its video", MANIFEST, "nobody.mp4", "does not exist", code=3,
         before="cp videos/labels.csv videos/l.csv; echo nobody.mp4,x,joy >> videos/l.csv"),
    prep("texts and nothing named .mp4", MANIFEST, "is no complete video file", "restore it from its source", code=3,
         before=r"cd videos; echo hello > t.mp4; : > z.mp4; printf 'file,subject,label\nt.mp4,a,joy\nz.mp4,b,anger\n'"
                " > l.csv; cd .."),
    prep("a text named .mp4", f"fer-predict t.mp4 --checkpoint {RUN}", "not decided: t.mp4", "restore it", code=3,
         before="echo hello > t.mp4"),
    prep("a name with a line end", f"fer-predict odd --checkpoint {RUN}", "not decided", "name: ", code=3,
         before="mkdir odd; cp videos/anna.mp4 $'odd/a\\nb.mp4'; cp videos/anna.mp4 'odd/😀 \"x\" .mp4'"),
    prep("no face in any video, then training", "fer-train out --fold 1", "the training groups hold no labelled clip",
         code=1, before=f"{BUILD} --out out | grep -q 'No clip came of it'"),
)  # fmt: skip

SHARDS = (
    prep("a damaged index", TRAIN, "not readable as JSON", "build the shards again with fer-prep", code=1,
         before="echo '{' > shards/index.json"),
    prep("a damaged index", "fer-prep report shards", "is damaged; build again", before="echo '{' > shards/index.json"),
    prep("an edited index", TRAIN, "not as fer-prep wrote it", "build the shards again", code=1,
         before="sed -i 's/\"joy\"/\"fun\"/' shards/index.json"),
    prep("shards of the future", TRAIN, "format version 9, expected 1; use a matching fer-train", code=1,
         before="sed -i 's/\"version\": 1/\"version\": 9/' shards/index.json"),
    prep("a shard was deleted", TRAIN, "missing, but index.json lists it; build the shards again", code=1,
         before="rm shards/manifest-sanna.h5"),
    prep("a shard was deleted", "fer-prep verify shards", "is not there, but index.json lists it",
         "Run the same fer-prep build again", code=3, before="rm shards/manifest-sanna.h5"),
    prep("a shard was cut off", TRAIN, "50000 bytes, expected", "copy it again", code=1,
         before="truncate -s 50000 shards/manifest-sanna.h5"),
    prep("a byte has changed", f"{TRAIN} --out new", "damaged (sha256", "copy it again", code=1,
         before=r"printf '\xff\xff' | dd of=shards/manifest-sanna.h5 bs=1 seek=60000 conv=notrunc 2>/dev/null"),
    prep("a table for a shard", "fer-prep inspect videos/labels.csv", "is no HDF5 file; name a .h5 file"),
)  # fmt: skip

RUNS = (
    prep("no weights", PREDICT, "model.safetensors: cannot be read", "train again", code=1,
         before=f"rm {RUN}/model.safetensors"),
    prep("weights cut off", PREDICT, "not a file of weights", "train again", code=1,
         before=f"truncate -s 5000 {RUN}/model.safetensors"),
    prep("a text for weights", EXPORT, "not a file of weights", "train again", code=1,
         before=f"echo hello > {RUN}/model.safetensors"),
    prep("weights of another network", PREDICT, "does not fit", "train again", code=1,
         before=f"sed -i 's/\"variant\": \"enhanced\"/\"variant\": \"convlstm\"/' {RUN}/config.json"),
    prep("a table for weights", f"{TRAIN} --weights videos/labels.csv --out new",
         "not a file of weights; expected .safetensors, or a .pth of tensors only"),
    prep("an unfinished run", PREDICT, "this run is not finished; fer-train with --resume finishes it", code=1,
         before=f"rm {RUN}/summary.json"),
    prep("an unfinished run", "fer-results runs", "not finished (no summary.json)", "--resume finishes it", code=1,
         before=f"rm {RUN}/summary.json"),
    prep("an empty configuration", EXPORT, "not a configuration of this version", "train again", code=1,
         before=f"echo '{{}}' > {RUN}/config.json"),
    prep("a damaged result", "fer-results runs", "not readable", "give --overwrite to start again", code=1,
         before=f"echo '{{' > {RUN}/summary.json"),
    prep("a damaged table", "fer-results runs", "its columns are x; expected", "train again", code=1,
         before=f"echo x > {RUN}/predictions.csv"),
    prep("shards of other geometry", PREDICT, "align.face_size is 32 in the run, 24 here. Take another run",
         before=f"sed -i 's/\"face_size\": 24/\"face_size\": 32/' {RUN}/config.json"),
)  # fmt: skip

DISKS = (
    prep("a full disk", f"{BUILD} --out disk/shards", "No space left on device", code=1, disk="8k"),
    prep("a full disk", f"{TRAIN} --epochs 1 --out disk/runs",
         "cannot be written (No space left on device); make room there, or choose another --out", code=1, disk="1m",
         after="test -z \"$(find disk -name '*.tmp')\" || rc=99"),
    prep("a full disk", f"{PREDICT} --out disk/predictions", "No space left on device", "choose another --out", code=1,
         disk="16k"),
    prep("a full disk", f"{EXPORT} --out disk/export", "No space left on device", "choose another --out", code=1,
         disk="64k"),
    prep("a full disk", "fer-results runs --out disk/results.html", "make room there, or choose another --out", code=1,
         disk="64k"),
    prep("a full disk", "fer-prep report shards --out disk/report.html", "cannot be written (No space left", code=1,
         disk="16k"),
    prep("a directory of others", f"{BUILD} --out ro/shards", "Permission denied", "choose another --out", code=1,
         before="mkdir ro; chmod 555 ro", plain=True),
    prep("a directory of others", f"{TRAIN} --out ro/runs", "Permission denied", "choose another --out", code=1,
         before="mkdir ro; chmod 555 ro", plain=True),
    prep("a directory of others", f"{PREDICT} --out ro/p", "Permission denied", "choose another --out", code=1,
         before="mkdir ro; chmod 555 ro", plain=True),
    prep("a directory of others", "fer-results runs --out ro/results.html", "Permission denied", "change --out",
         before="mkdir ro; chmod 555 ro", plain=True),
    prep("a run of others", EXPORT, "Permission denied", "choose another --out", code=1, before=f"chmod 555 {RUN}",
         plain=True),
    prep("a manifest that may not be read", f"{BUILD} --out out", "'videos/labels.csv' is not readable",
         before="chmod 0 videos/labels.csv", plain=True),
    prep("a shard that may not be read", f"{TRAIN} --out new", "Permission denied", "check its permissions", code=1,
         before="chmod 0 shards/manifest-sanna.h5", plain=True),
)  # fmt: skip

BUSY = (
    prep("two builds into one directory", MANIFEST, "another fer-prep build writes to out; wait for it", code=1,
         before="cp videos/labels.csv videos/l.csv; for i in $(seq 300); do cp videos/anna.mp4 videos/$i.mp4; "
                f"echo $i.mp4,s$i,joy >> videos/l.csv; done; {MANIFEST} >/dev/null 2>&1 & "
                "until [ -e out/.lock ]; do sleep 0.1; done",
         after="kill %1"),
    *(
        prep(f"two trainings of one run, {option}", f"{TRAIN} --out new --epochs 2000 {option}", says,
             code=1,
             before=f"{TRAIN} --out new --epochs 2000 >log 2>&1 & until grep -q epoch log; do sleep 0.1; done",
             after="sleep 1; kill %1 || rc=98; wait; grep -q 'ended by SIGTERM' log || rc=99")
        for option, says in (
            ("--seed 0", "another process writes there now"),
            ("--seeds 2", "another process writes there now"),
            ("--resume", "another process writes there now; wait for its end, or choose another --out"),
            ("--overwrite", "another process writes there now"),
            ("--overwrite --seeds 2", "another process writes there now"),
        )
    ),
    prep("two predictions into one directory", f"fer-predict videos --checkpoint {RUN} --out p",
         "another process writes there now", code=1,
         before=f"fer-predict videos --checkpoint {RUN} --out p >/dev/null 2>&1 & "
                "until [ -e p/predict.json ]; do sleep 0.1; done",
         after="wait; test -e p/recordings.csv || rc=99"),
)  # fmt: skip

TERMINALS = (
    prep("a manifest of 300 letters", "fer-prep build --dataset manifest --root videos --manifest $(printf 'x%.0s' "
         "$(seq 300)) --out out", "cannot be used (File name too long)", "name another", code=1, quick=True),
    prep("an output that is full", "fer-prep datasets >/dev/full",
         "the system refuses (No space left on device); is there room where the output goes?", code=1),
    prep("an output that is full", "fer-results runs >/dev/full",
         "the system refuses (No space left on device); is there room where the output goes?", code=1),
    prep("a note that is no text in this locale",
         f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {TRAIN} --out new --note 'über'",
         "is no text in this locale; set LC_ALL=C.UTF-8", quick=True),
    prep("a terminal of few characters", "PYTHONIOENCODING=ascii fer-results über", r"\xfcber: is no directory"),
)  # fmt: skip
