"""Commands that are wrong, each with what it must answer; run as a program, the table of docs/wrong-commands.md.

Each begins in a copy of the scene of wrong_scene.py, by bash, with the four programs on the PATH.
"""

from dataclasses import dataclass

RUN = "runs/manifest/enhanced/seed0/fold1"
BUILD = "fer-prep build --dataset manifest --manifest videos/labels.csv"
TRAIN = "fer-train shards --fold 1"
PREDICT = f"fer-predict shards --checkpoint {RUN}"
EXPORT = f"fer-train export {RUN} --format torch"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A command, and what it answers."""

    what: str
    """Is wrong, in few words."""
    command: str
    says: tuple[str, ...]
    """Parts of what it prints, in this order."""
    code: int = 1
    before: str = ""
    """Shell commands that make it wrong."""
    after: str = ""
    """Shell commands that clean up, or fail if something was lost."""
    without: tuple[str, ...] = ()
    """Packages that are not installed."""
    disk: str = ""
    """Size of the file system at `disk`, as mount has it."""
    plain: bool = False
    """Whether the user is not allowed what root is."""
    quick: bool = False
    """Whether it is tried in each run of the tests."""


def prep(
    what: str, command: str, *says: str, code: int = 2, before: str = "", after: str = "", quick: bool = False,
    disk: str = "", plain: bool = False,
) -> Wrong:  # fmt: skip
    """A command that is wrong by its arguments, unless another code is given."""
    return Wrong(
        what=what, command=command, says=says, code=code, before=before, after=after, quick=quick, disk=disk,
        plain=plain,
    )  # fmt: skip


ARGUMENTS = (
    prep("an unknown option", "fer-prep build --dataset sample --output out", "No such option '--output'", "'--out'",
         quick=True),
    prep("a slip of the pen", f"{TRAIN} --epoch 3", "No such option '--epoch'. Did you mean '--epochs'?", quick=True),
    prep("an unknown command", "fer-prep biuld --dataset sample --out out", "Did you mean 'build'?", quick=True),
    prep("an unknown corpus", "fer-prep build --dataset enterfase --root . --out out", "is not one of 'enterface'",
         quick=True),
    prep("no --fold", "fer-train shards", "Missing option '--fold'", quick=True),
    prep("fold 0", "fer-train shards --fold 0", "'0' is no number from 1, no list such as 1,3, and not all"),
    prep("fold a", "fer-train shards --fold a", "'a' is no number from 1", quick=True),
    prep("fold 99 of 2", "fer-train shards --fold 99", "fold 99 does not exist: these shards have folds 1 to 2"),
    prep("variant e", f"{TRAIN} --variant e", "'e' is no variant: expected a to d"),
    prep("an unknown model", f"{TRAIN} --model resnet", "'resnet' is no model: expected two-stream, cnn-lstm"),
    prep("a variant of another model", f"{TRAIN} --model fan --variant a", "only two-stream has variants", "leave it"),
    prep("--lr nan", f"{TRAIN} --lr nan", "a finite number was expected", quick=True),
    prep("--lr 999", f"{TRAIN} --lr 999 --out new", "training diverged. Give a smaller --lr, and --overwrite", code=1),
    prep("--batch-size 0", f"{TRAIN} --batch-size 0", "0 is not in the range x>=1", quick=True),
    prep("--epochs 0", f"{TRAIN} --epochs 0", "0 is not in the range x>=1"),
    prep("--seeds 0", f"{TRAIN} --seeds 0", "0 is not in the range 1<=x<=1000"),
    prep("--jobs 0", f"{TRAIN} --jobs 0", "0 is not in the range 1<=x<=1024"),
    prep("--workers 0", f"{BUILD} --out out --workers 0", "0 is not in the range x>=1"),
    prep("--groups 0", f"{BUILD} --out out --groups 0", "'0' is neither a number from 1 to 1000 nor 'subject'"),
    prep("--resume with --overwrite", f"{TRAIN} --resume --overwrite", "exclude each other", quick=True),
    prep("the test group for validation", f"{TRAIN} --validation-group 1 --out new",
         "validation group 1 is the test group: take one of the training groups"),
    prep("a validation group that leaves nothing", f"{TRAIN} --validation-group 2 --out new",
         "the training groups hold no labelled clip", code=1),
    prep("a size without a unit", "fer-prep cache --prune --max-size 5", "'5' is no size; write it as 5GB"),
    prep("--prune of nothing", "fer-prep cache --prune", "--max-size 5GB, --older-than 30d, or --all"),
    prep("an unknown format", f"fer-train export {RUN} --format tflite", "is not one of 'torch', 'onnx', 'both'"),
    prep("timelines of many", f"{PREDICT} --timelines many", "'many' is neither a number nor 'all' nor 'none'"),
)  # fmt: skip

MACHINE = (
    Wrong(what="a GPU where there is none", command=f"{TRAIN} --device cuda --out new", code=2,
          says=("--device cuda: torch finds no CUDA device here; take --device cpu",)),
    Wrong(what="two GPUs where there is none", command=f"{TRAIN} --devices 2 --device cuda --out new", code=2,
          says=("torch finds no CUDA device here",)),
    Wrong(what="predicting on a GPU where there is none", command=f"{PREDICT} --device cuda --out new", code=2,
          says=("torch finds no CUDA device here",)),
    Wrong(what="no torch", command=TRAIN, says=("torch is not installed; pip install 'fer-convlstm[train]'",),
          without=("torch",), quick=True),
    Wrong(what="no torch", command=f"fer-predict videos --checkpoint {RUN}",
          says=("torch is not installed; pip install 'fer-convlstm[train]'",), without=("torch",)),
    Wrong(what="no torch", command="fer-results runs",
          says=("torch is not installed; pip install 'fer-convlstm[train]'",), without=("torch",)),
    Wrong(what="no OpenCV", command="fer-prep build --dataset sample --out out",
          says=("cv2 is not installed; pip install 'fer-convlstm[prep]'",), without=("cv2",), quick=True),
    Wrong(what="no onnx", command=f"fer-train export {RUN}", without=("onnx",),
          says=("not installed, which writing ONNX needs: pip install 'fer-convlstm[export]'", "--format torch")),
    Wrong(what="no OpenFace", command=f"{BUILD} --out out --aligner openface",
          says=("no FeatureExtraction is on the PATH; name it with --openface", "or use --aligner mesh")),
    prep("OpenFace is elsewhere", f"{BUILD} --out out --openface nowhere",
         "nowhere is not there; name OpenFace's FeatureExtraction"),
    prep("nobody listens there", f"{BUILD} --out out --scheduler tcp://127.0.0.1:9",
         "no Dask scheduler answers there within 10 s; start one with `dask scheduler`, or leave --scheduler out",
         code=1),
    prep("something else listens there", f"{BUILD} --out out --scheduler tcp://127.0.0.1:$PORT",
         "no Dask scheduler answers there", code=1,
         before="export PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind((\"\", 0)); "
                "print(s.getsockname()[1])')\npython3 -m http.server $PORT >/dev/null 2>&1 & sleep 2",
         after="kill %1"),
    prep("an address without a port", f"{BUILD} --out out --scheduler localhost",
         "'localhost' is no address of a Dask scheduler; write it as tcp://host:port"),
    prep("a port that none can have", f"{BUILD} --out out --scheduler tcp://localhost:99999",
         "is no address of a Dask scheduler; write it as tcp://host:port"),
    prep("workers here and there", f"{BUILD} --out out --scheduler tcp://127.0.0.1:9 --workers 2",
         "--workers starts processes on this machine, --scheduler uses those of a running cluster", "give one of them"),
)  # fmt: skip

PLACES = (
    prep("a corpus that is not there", "fer-prep build --dataset enterface --root nowhere --out out",
         "nowhere is not there; eNTERFACE'05 was expected there", "name the directory with --root", quick=True),
    prep("$FER_DATA points nowhere", "FER_DATA=/gone fer-prep build --dataset ckplus --out out",
         "/gone/ckplus is not there", "name the directory with --root"),
    prep("a video for --root", "fer-prep build --dataset manifest --root videos/anna.mp4 --out out",
         "videos/anna.mp4 is not a directory; name the directory that the manifest's files are relative to"),
    prep("a video for --out", f"{BUILD} --out videos/anna.mp4", "is a file; --out must be a directory"),
    prep("a video for --cache", f"{BUILD} --out out --cache videos/anna.mp4", "choose another --cache", code=1),
    prep("a corpus for --cache, to be emptied", "fer-prep cache --cache videos --prune --all",
         "videos is not a cache of fer-prep", "nothing was removed", after="test -e videos/anna.mp4 || rc=99"),
    prep("a name of 300 letters for --out", f"{BUILD} --out $(printf 'x%.0s' $(seq 300))",
         "File name too long", "choose another --out", code=1),
    prep("no shards", "fer-train nowhere --fold 1", "'nowhere' is not there; name a directory of shards", quick=True),
    prep("a shard for the directory", "fer-train shards/manifest-sanna.h5 --fold 1",
         "is a file; name a directory of shards", quick=True),
    prep("runs for shards", "fer-train runs --fold 1", "runs/index.json: there is no such file",
         "name one that fer-prep build has made", code=1),
    prep("an empty directory for shards", "fer-train empty --fold 1", "empty/index.json: there is no such file",
         before="mkdir empty", code=1),
    prep("a link to itself for shards", "fer-train loop --fold 1", "'loop' is not there", before="ln -s loop loop"),
    prep("videos for shards", "fer-prep report videos", "holds no index.json: it is no directory of shards", code=1),
    prep("a shard for the directory", "fer-prep verify shards/manifest-sanna.h5", "name the directory that it lies in"),
    prep("the directory for a shard", "fer-prep inspect shards", "name one file in it, as shards/manifest-sanna.h5"),
    prep("a clip that is not there", "fer-prep inspect shards/manifest-sanna.h5 --clip 99", "its clips are 0 to"),
    prep("input and run exchanged", f"fer-predict {RUN} --checkpoint videos", "videos: not a run (no config.json)",
         code=1),
    prep("all runs for one", "fer-predict videos --checkpoint runs", f"expected a directory such as {RUN}", code=1),
    prep("the weights for the run", f"fer-predict videos --checkpoint {RUN}/model.safetensors",
         "is a file; name the directory of a finished run"),
    prep("shards for the run", "fer-train export shards", "shards: not a run (no config.json)", code=1),
    prep("the run for videos", f"fer-predict {RUN} --checkpoint {RUN}", "neither shards (no index.json) nor videos",
         "give a shard directory, a video or a folder of videos"),
    prep("a folder without videos", f"fer-predict empty --checkpoint {RUN}", "nor videos (among 0 files",
         before="mkdir empty"),
    prep("its own output", f"fer-predict predictions --checkpoint {RUN}", "neither shards (no index.json) nor videos",
         before=f"{PREDICT} >/dev/null"),
    prep("no runs", "fer-results nowhere", "nowhere: is no directory; expected one with runs of fer-train"),
    prep("shards for runs", "fer-results shards", "holds no run of fer-train", "name the directory that its --out"),
    prep("a video for the page", "fer-results runs --out videos/anna.mp4", "is there already, and is no page",
         before="cp videos/anna.mp4 kept", after="cmp -s videos/anna.mp4 kept || rc=99"),
    prep("a video for the report", "fer-prep report shards --out videos/anna.mp4", "holds something else",
         before="cp videos/anna.mp4 kept", after="cmp -s videos/anna.mp4 kept || rc=99"),
    prep("a video for the log", f"{BUILD} --out out --log-json videos/anna.mp4",
         "holds something else; name another file with --log-json",
         before="cp videos/anna.mp4 kept", after="cmp -s videos/anna.mp4 kept || rc=99"),
    prep("a page in no directory", "fer-prep report shards --out nowhere/a.html", "there is no directory nowhere"),
    prep("other files in the place of predictions", f"{PREDICT} --out videos", "not empty and not of fer-predict",
         "choose another --out", code=1),
    prep("other files in the place of a run", f"{TRAIN} --out new", "not empty and not a run; move its files", code=1,
         before="mkdir -p new/manifest/enhanced/seed0/fold1 && touch new/manifest/enhanced/seed0/fold1/thesis.tex"),
    prep("a finished run in the place", TRAIN, "holds a finished run; give --overwrite to train it again", code=1),
    prep("finished predictions in the place", PREDICT, "holds predictions; give --overwrite to replace them", code=1,
         before=f"{PREDICT} >/dev/null"),
    prep("exported before", EXPORT, "is there already; give --overwrite", code=1,
         before=f"mkdir {RUN}/export && touch {RUN}/export/model.pt2"),
    prep("shards of another recipe in the place", f"{BUILD} --out shards", "holds shards of another recipe",
         "choose another --out, or replace them with --rebuild", after="test -e shards/manifest-sanna.h5 || rc=99"),
)  # fmt: skip
