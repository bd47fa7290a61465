# Object Detection in the Wild: 35 data sets; 13 of them are the benchmark of the GLIP paper.
# Class names, prompts and files are those of microsoft/GLIP's configs/odinw_13 and odinw_35. Its
# splits are `valid` and, for some larger data sets, `mini_val`; here all are `valid`, as in
# MMDetection.

# Variables that start with two underscores, and functions, are not part of a config.
# fmt: off
__table = dict(
    # folder: relative to data/odinw/. classes: the names in the annotation file.
    AerialMaritimeDrone_large=dict(
        folder="AerialMaritimeDrone/large", classes=("boat", "car", "dock", "jetski", "lift")
    ),
    AerialMaritimeDrone_tiled=dict(
        folder="AerialMaritimeDrone/tiled", classes=("boat", "car", "dock", "jetski", "lift")
    ),
    AmericanSignLanguageLetters=dict(
        folder="AmericanSignLanguageLetters/American Sign Language Letters.v1-v1.coco",
        classes=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ),
    Aquarium=dict(
        folder="Aquarium/Aquarium Combined.v2-raw-1024.coco",
        classes=("fish", "jellyfish", "penguin", "puffin", "shark", "starfish", "stingray"),
        # prompt: the prefix, the replacement and the suffix of some class names in the caption.
        prompt=dict(
            penguin=dict(suffix=", which is black and white"),
            puffin=dict(suffix=" with orange beaks"),
            stingray=dict(suffix=" which is flat and round"),
        ),
    ),
    BCCD=dict(folder="BCCD/BCCD.v3-raw.coco", classes=("Platelets", "RBC", "WBC")),
    boggleBoards=dict(
        folder="boggleBoards/416x416AutoOrient/export",
        classes=(
            "Q", "a", "an", "b", "c", "d", "e", "er", "f", "g", "h", "he", "i", "in", "j", "k", "l",
            "m", "n", "o", "o ", "p", "q", "qu", "r", "s", "t", "t\\", "th", "u", "v", "w", "wild",
            "x", "y", "z",
        ),
        # export: the splits are prefixes of the annotation files' names instead of folders.
        export=True,
    ),
    brackishUnderwater=dict(
        folder="brackishUnderwater/960x540",
        classes=("crab", "fish", "jellyfish", "shrimp", "small_fish", "starfish"),
    ),
    ChessPieces=dict(
        folder="ChessPieces/Chess Pieces.v23-raw.coco",
        # names: new names of the categories, by id from 1; override_category.py writes them to an
        # annotation file. A category without a name is not prompted; its separator stays at the
        # start of the caption.
        names=(
            "  ", "black bishop", "black king", "black knight", "black pawn", "black queen",
            "black rook", "white bishop", "white king", "white knight", "white pawn", "white queen",
            "white rook",
        ),
        prompt={"black bishop": dict(prefix=". ")},
    ),
    CottontailRabbits=dict(
        folder="CottontailRabbits", classes=("Cottontail-Rabbit",), names=("rabbit",)
    ),
    dice=dict(folder="dice/mediumColor/export", classes=tuple("123456"), export=True),
    DroneControl=dict(
        folder="DroneControl/Drone Control.v3-raw.coco",
        classes=(
            "follow", "follow_hand", "land", "land_hand", "null", "object", "takeoff",
            "takeoff-hand",
        ),
    ),
    EgoHands_generic=dict(
        folder="EgoHands/generic",
        classes=("hand",),
        prompt=dict(hand=dict(suffix=" of a person")),
    ),
    EgoHands_specific=dict(
        folder="EgoHands/specific", classes=("myleft", "myright", "yourleft", "yourright")
    ),
    HardHatWorkers=dict(folder="HardHatWorkers/raw", classes=("head", "helmet", "person")),
    MaskWearing=dict(folder="MaskWearing/raw", classes=("mask", "no-mask")),
    MountainDewCommercial=dict(folder="MountainDewCommercial", classes=("bottle",)),
    NorthAmericaMushrooms=dict(
        folder="NorthAmericaMushrooms/North American Mushrooms.v1-416x416.coco",
        classes=("CoW", "chanterelle"),
        names=("flat mushroom", "yellow mushroom"),
    ),
    openPoetryVision=dict(
        folder="openPoetryVision/512x512",
        classes=(
            "American Typewriter", "Andale Mono", "Apple Chancery", "Arial", "Avenir",
            "Baskerville", "Big Caslon", "Bradley Hand", "Brush Script MT", "Chalkboard",
            "Comic Sans MS", "Copperplate", "Courier", "Didot", "Futura", "Geneva", "Georgia",
            "Gill Sans", "Helvetica", "Herculanum", "Impact", "Kefa", "Lucida Grande", "Luminari",
            "Marker Felt", "Menlo", "Monaco", "Noteworthy", "Optima", "PT Sans", "PT Serif",
            "Palatino", "Papyrus", "Phosphate", "Rockwell", "SF Pro", "SignPainter", "Skia",
            "Snell Roundhand", "Tahoma", "Times New Roman", "Trebuchet MS", "Verdana",
        ),
    ),
    OxfordPets_by_breed=dict(
        folder="OxfordPets/by-breed",
        classes=(
            "cat-Abyssinian", "cat-Bengal", "cat-Birman", "cat-Bombay", "cat-British_Shorthair",
            "cat-Egyptian_Mau", "cat-Maine_Coon", "cat-Persian", "cat-Ragdoll", "cat-Russian_Blue",
            "cat-Siamese", "cat-Sphynx", "dog-american_bulldog", "dog-american_pit_bull_terrier",
            "dog-basset_hound", "dog-beagle", "dog-boxer", "dog-chihuahua",
            "dog-english_cocker_spaniel", "dog-english_setter", "dog-german_shorthaired",
            "dog-great_pyrenees", "dog-havanese", "dog-japanese_chin", "dog-keeshond",
            "dog-leonberger", "dog-miniature_pinscher", "dog-newfoundland", "dog-pomeranian",
            "dog-pug", "dog-saint_bernard", "dog-samoyed", "dog-scottish_terrier", "dog-shiba_inu",
            "dog-staffordshire_bull_terrier", "dog-wheaten_terrier", "dog-yorkshire_terrier",
        ),
    ),
    OxfordPets_by_species=dict(folder="OxfordPets/by-species", classes=("cat", "dog")),
    PKLot=dict(folder="PKLot/640", classes=("space-empty", "space-occupied")),
    Packages=dict(
        folder="Packages/Raw",
        classes=("package",),
        prompt=dict(package=dict(prefix="there is a ", suffix=" on the porch")),
    ),
    PascalVOC=dict(
        folder="PascalVOC",
        classes=(
            "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
            "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
            "train", "tvmonitor",
        ),
    ),
    pistols=dict(folder="pistols/export", classes=("pistol",), export=True),
    plantdoc=dict(
        folder="plantdoc/416x416",
        classes=(
            "Apple Scab Leaf", "Apple leaf", "Apple rust leaf", "Bell_pepper leaf",
            "Bell_pepper leaf spot", "Blueberry leaf", "Cherry leaf", "Corn Gray leaf spot",
            "Corn leaf blight", "Corn rust leaf", "Peach leaf", "Potato leaf",
            "Potato leaf early blight", "Potato leaf late blight", "Raspberry leaf",
            "Soyabean leaf", "Soybean leaf", "Squash Powdery mildew leaf", "Strawberry leaf",
            "Tomato Early blight leaf", "Tomato Septoria leaf spot", "Tomato leaf",
            "Tomato leaf bacterial spot", "Tomato leaf late blight", "Tomato leaf mosaic virus",
            "Tomato leaf yellow virus", "Tomato mold leaf", "Tomato two spotted spider mites leaf",
            "grape leaf", "grape leaf black rot",
        ),
    ),
    pothole=dict(
        folder="pothole",
        classes=("pothole",),
        prompt=dict(pothole=dict(prefix="there are some ", name="holes", suffix=" on the road")),
    ),
    Raccoon=dict(folder="Raccoon/Raccoon.v2-raw.coco", classes=("raccoon",)),
    selfdrivingCar=dict(
        folder="selfdrivingCar/fixedLarge/export",
        classes=(
            "biker", "car", "pedestrian", "trafficLight", "trafficLight-Green",
            "trafficLight-GreenLeft", "trafficLight-Red", "trafficLight-RedLeft",
            "trafficLight-Yellow", "trafficLight-YellowLeft", "truck",
        ),
        export=True,
    ),
    ShellfishOpenImages=dict(
        folder="ShellfishOpenImages/raw", classes=("Crab", "Lobster", "Shrimp")
    ),
    ThermalCheetah=dict(folder="ThermalCheetah", classes=("cheetah", "human")),
    thermalDogsAndPeople=dict(folder="thermalDogsAndPeople", classes=("dog", "person")),
    UnoCards=dict(folder="UnoCards/raw", classes=tuple(str(number) for number in range(15))),
    VehiclesOpenImages=dict(
        folder="VehiclesOpenImages/416x416",
        classes=("Ambulance", "Bus", "Car", "Motorcycle", "Truck"),
    ),
    WildfireSmoke=dict(folder="WildfireSmoke", classes=("smoke",)),
    websiteScreenshots=dict(
        folder="websiteScreenshots",
        classes=("button", "field", "heading", "iframe", "image", "label", "link", "text"),
    ),
)
# fmt: on


def describe(folder, classes=(), export=False, prompt=None, names=None, *, first_edition=False):
    """Return the config of a data set; only ODinW-35 uses its caption prompt."""
    ann_file = "annotations_without_background.json"
    extra = {}
    if names and first_edition:  # ODinW-13 has the new names as a prompt
        prompt = {name: dict(name=other) for name, other in zip(classes, names, strict=True)}
    elif names:
        ann_file = f"new_{ann_file}"
        classes = tuple(name for name in names if name.strip())
        extra["category_names"] = names
    if prompt:
        extra["caption_prompt"] = prompt
    return dict(
        type="CocoDataset",
        data_root=f"data/odinw/{folder}/",
        ann_file=f"val_{ann_file}" if export else f"valid/{ann_file}",
        data_prefix=dict(img="" if export else "valid/"),
        metainfo=dict(classes=classes, **extra),
        caption_prompt=None if first_edition else prompt,
        test_mode=True,
        return_classes=True,
    )


odinw35 = {name: describe(**row) for name, row in __table.items()}
odinw13 = {
    name.split("_")[0]: describe(**__table[name], first_edition=True)
    for name in (
        "AerialMaritimeDrone_large",
        "Aquarium",
        "CottontailRabbits",
        "EgoHands_generic",
        "NorthAmericaMushrooms",
        "Packages",
        "PascalVOC",
        "pistols",
        "pothole",
        "Raccoon",
        "ShellfishOpenImages",
        "thermalDogsAndPeople",
        "VehiclesOpenImages",
    )
}
