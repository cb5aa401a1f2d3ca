"""The words of OpenFace's stdout and the columns of its CSV, as recorded and documented in the contract."""

FIRST_LINE = "STAND-IN for OpenFace FeatureExtraction - not OpenFace"
NO_ARGUMENTS = (
    "For command line arguments see:\n https://github.com/TadasBaltrusaitis/OpenFace/wiki/Command-line-arguments"
)
NO_MODEL = "Could not find the landmark detection model to load"
NO_CEN = (
    "Could not find CEN patch experts, for instructions of how to download them, "
    "see https://github.com/TadasBaltrusaitis/OpenFace/wiki/Model-download \n"
)
NOT_LOADED = "ERROR: Could not load the landmark detector"
NO_WINDOW = "qt.qpa.xcb: could not connect to display\nThis application failed to start"
WHY_NO_FILE = "either the path of the output directory is wrong or you do not have the permissions to write to it"
NO_IMAGE = "Warning: Could not output similarity aligned image image"
EXPERTS = {
    "clnf": ("CCNF", "ccnf", "general.txt"),
    "ceclm": ("CEN", "cen", "of.dat"),
    "clm": ("SVR", "svr", "general.txt"),
}


def landmark_model(found_as: str, home: str, kind: str) -> list[str]:
    """The first lines: the model file, its shape model, and up to the patch experts."""
    stem = {"clnf": "clnf_general", "ceclm": "cen_general", "clm": "clm_general"}[kind]
    return [
        f"Reading the landmark detector/tracker from: {found_as}",
        f"Reading the landmark detector module from: {home}/model/{stem}.txt",
        f"Reading the PDM module from: {home}/model/pdms/In-the-wild_aligned_PDM_68.txt....Done",
        f"Reading the Triangulations module from: {home}/model/tris_68.txt....Done",
    ]


def experts(home: str, kind: str) -> list[str]:
    """One line per patch expert file, without its ending (`Done`, or the complaint)."""
    name, folder, ending = EXPERTS[kind]
    scales = ("0.25", "0.35", "0.50", "1.00") if kind == "ceclm" else ("0.25", "0.35", "0.5")
    where = f"{home}/model/patch_experts/{folder}_patches"
    return [f"Reading the intensity {name} patch experts from: {where}_{scale}_{ending}...." for scale in scales]


def parts(home: str) -> list[str]:
    """The inner face and the two eyes, then the validator."""
    lines = []
    for name, folder, main, module, pdm, patches in (
        ("inner", "inner", "clnf_inner", "clnf_inner", "pdm_51_inner", ["ccnf_patches_1.00_inner"]),
        ("left_eye_28", "eye", "clnf_synth_left", "clnf_left_synth", "pdm_28_l_eye_3D_closed", _eye("left_")),
        ("right_eye_28", "eye", "clnf_synth_right", "clnf_right_synth", "pdm_28_eye_3D_closed", _eye("")),
    ):
        where = f"{home}/model/model_{folder}"
        lines += [
            f"Reading part based module....{name}",
            f"Reading the landmark detector/tracker from: {where}/main_{main}.txt",
            f"Reading the landmark detector module from: {where}/{module}.txt",
            f"Reading the PDM module from: {where}/pdms/{pdm}.txt....Done",
        ]
        lines += [
            f"Reading the intensity CCNF patch experts from: {where}/patch_experts/{patch}.txt....Done"
            for patch in patches
        ]
        lines.append("Done")
    return [*lines, "Reading the landmark validation module....Done"]


def _eye(side: str) -> list[str]:
    return [f"{side}ccnf_patches_{scale}_synth_lid_" for scale in ("1.00", "1.50")]


def action_units(home: str) -> list[str]:
    where = f"{home}/AU_predictors"
    return [
        f"Reading the AU analysis module from: {where}/main_dynamic_svms.txt",
        f"Reading the AU predictors from: {where}/AU_all_best.txt... Done",
        f"Reading the PDM from: {where}/In-the-wild_aligned_PDM_68.txt... Done",
        f"Reading the triangulation from:{where}/tris_68_full.txt... Done",
    ]


def face_detector(home: str) -> list[str]:
    where = f"{home}/model/mtcnn_detector"
    nets = [f"Reading the {net}Net module from: {where}/{net}Net.dat" for net in "PRO"]
    return [f"Reading the MTCNN face detector from: {where}/MTCNN_detector.txt", *nets]


ALWAYS = ["frame", "face_id", "timestamp", "confidence", "success"]
AU_R = ["01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45"]
AU_C = [*AU_R[:-1], "28", "45"]
GROUPS = ("-gaze", "-pose", "-2Dfp", "-3Dfp", "-pdmparams", "-aus")


def columns(group: str) -> list[tuple[str, int]]:
    """Name and number of decimals of each column that this flag adds to the CSV."""
    if group == "-gaze":
        eyes = [(f"gaze_{eye}_{axis}", 6) for eye in (0, 1) for axis in "xyz"]
        angles = [(f"gaze_angle_{axis}", 3) for axis in "xy"]
        return [*eyes, *angles, *[(f"eye_lmk_{axis}_{i}", 1) for axis in "xyXYZ" for i in range(56)]]
    if group == "-pose":
        return [*[(f"pose_T{axis}", 1) for axis in "xyz"], *[(f"pose_R{axis}", 3) for axis in "xyz"]]
    if group == "-2Dfp":
        return [(f"{axis}_{i}", 1) for axis in "xy" for i in range(68)]
    if group == "-3Dfp":
        return [(f"{axis}_{i}", 1) for axis in "XYZ" for i in range(68)]
    if group == "-pdmparams":
        rigid = ["p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty"]
        return [(name, 3) for name in [*rigid, *[f"p_{i}" for i in range(34)]]]
    return [*[(f"AU{unit}_r", 2) for unit in AU_R], *[(f"AU{unit}_c", 2) for unit in AU_C]]
