"""The supported data sets: name, source and layout.

Source: docs/datasets.md, "Data sets": the four target domains, and ten sets of Meta-Dataset (Triantafillou et al. 2020,
    arXiv:1903.03096).
"""

from __future__ import annotations

from vtt_core.bench.datasets.bitmaps import read_quickdraw
from vtt_core.bench.datasets.csv_tables import read_chestx, read_isic
from vtt_core.bench.datasets.dataset import Dataset
from vtt_core.bench.datasets.folder_layout import (
    class_folders,
    cub_label,
    dtd_label,
    eurosat_label,
    gtsrb_label,
    plant_label,
    read_omniglot,
)
from vtt_core.bench.datasets.json_annotations import read_fungi, read_mscoco
from vtt_core.bench.datasets.label_matrix import read_flowers
from vtt_core.bench.datasets.synsets import read_ilsvrc
from vtt_core.bench.datasets.variant_lists import read_aircraft

_PLANTS = "New Plant Diseases Dataset(Augmented)"

_TARGET_DOMAINS = (
    Dataset(
        name="cropdisease",
        title="CropDisease (PlantVillage)",
        num_classes=38,
        url="https://www.kaggle.com/datasets/vipoooool/new-plant-diseases-dataset",
        layout=f"{_PLANTS}/train/<Crop>___<State>/*.JPG, or plantvillage dataset/color/<Crop>___<State>/*.JPG",
        prompt_names="folder names",
        read=class_folders(
            (f"{_PLANTS}/{_PLANTS}/train", f"{_PLANTS}/train", "plantvillage dataset/color", "color", "train", "."), plant_label
        ),
        zip_label=plant_label,
    ),
    Dataset(
        name="eurosat",
        title="EuroSAT (RGB)",
        num_classes=10,
        url="https://zenodo.org/records/7711810 (EuroSAT_RGB.zip)",
        layout="2750/<Class>/<Class>_N.jpg, or EuroSAT_RGB/<Class>/<Class>_N.jpg",
        prompt_names="class_names.json",
        read=class_folders(("2750", "EuroSAT_RGB", "EuroSAT/2750", "."), eurosat_label),
        zip_label=eurosat_label,
    ),
    Dataset(
        name="isic",
        title="ISIC 2018, task 3, training",
        num_classes=7,
        url="https://challenge.isic-archive.com/data/#2018",
        layout=(
            "ISIC2018_Task3_Training_Input/ISIC_*.jpg and "
            "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv "
            "(for groups also ISIC2018_Task3_Training_LesionGroupings.csv)"
        ),
        prompt_names="class_names.json",
        read=read_isic,
        groups="lesion",
    ),
    Dataset(
        name="chestx",
        title="ChestX-ray14",
        num_classes=7,
        url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        layout="Data_Entry_2017*.csv and images_001/images/*.png to images_012/images/*.png, or images/*.png",
        prompt_names="column 'Finding Labels'",
        read=read_chestx,
        groups="patient",
    ),
)

_META_DATASET = (
    Dataset(
        name="ilsvrc",
        title="ILSVRC 2012, training",
        num_classes=1000,
        url="https://www.kaggle.com/competitions/imagenet-object-localization-challenge",
        layout="ILSVRC/Data/CLS-LOC/train/<synset>/*.JPEG with LOC_synset_mapping.txt, or <synset>/*.JPEG with words.txt",
        prompt_names="first word of the synset, in LOC_synset_mapping.txt, synset_words.txt or words.txt",
        read=read_ilsvrc,
    ),
    Dataset(
        name="omniglot",
        title="Omniglot",
        num_classes=1623,
        url="https://github.com/brendenlake/omniglot (python/images_background.zip, images_evaluation.zip)",
        layout="images_background/<Alphabet>/<characterNN>/*.png and images_evaluation/<Alphabet>/<characterNN>/*.png",
        prompt_names="alphabet and character folder",
        read=read_omniglot,
    ),
    Dataset(
        name="aircraft",
        title="FGVC-Aircraft",
        num_classes=100,
        url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        layout="data/images/*.jpg and data/images_variant_*.txt",
        prompt_names="variants, in images_variant_*.txt",
        read=read_aircraft,
    ),
    Dataset(
        name="cub",
        title="CUB-200-2011",
        num_classes=200,
        url="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        layout="CUB_200_2011/images/<NNN.Name>/*.jpg",
        prompt_names="folder names without their numbers",
        read=class_folders(("CUB_200_2011/images", "images", "."), cub_label),
    ),
    Dataset(
        name="dtd",
        title="Describable Textures",
        num_classes=47,
        url="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        layout="dtd/images/<texture>/*.jpg",
        prompt_names="folder names",
        read=class_folders(("dtd/images", "images", "."), dtd_label),
    ),
    Dataset(
        name="quickdraw",
        title="Quick, Draw!",
        num_classes=345,
        url="https://console.cloud.google.com/storage/browser/quickdraw_dataset/full/numpy_bitmap",
        layout="<class>.npy with rows of 28 x 28 bytes",
        prompt_names="file names",
        read=read_quickdraw,
    ),
    Dataset(
        name="fungi",
        title="FGVCx Fungi 2018",
        num_classes=1394,
        url="https://github.com/visipedia/fgvcx_fungi_comp",
        layout="train.json, val.json and images/<folder>/*.JPG, or images/<folder>/*.JPG alone",
        prompt_names="categories in the JSON, else folder names without their numbers",
        read=read_fungi,
    ),
    Dataset(
        name="flowers",
        title="Oxford 102 Flowers",
        num_classes=102,
        url="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        layout="jpg/image_NNNNN.jpg and imagelabels.mat",
        prompt_names="class_names.json",
        read=read_flowers,
    ),
    Dataset(
        name="traffic_sign",
        title="GTSRB traffic signs, training",
        num_classes=43,
        url="https://benchmark.ini.rub.de (GTSRB_Final_Training_Images.zip)",
        layout="GTSRB/Final_Training/Images/<000NN>/*.ppm",
        prompt_names="class_names.json",
        read=class_folders(
            ("GTSRB/Final_Training/Images", "Final_Training/Images", "GTSRB/Training", "Training", "Images", "."), gtsrb_label
        ),
    ),
    Dataset(
        name="mscoco",
        title="MSCOCO 2017, training",
        num_classes=80,
        url="https://cocodataset.org/#download",
        layout="train2017/*.jpg and annotations/instances_train2017.json",
        prompt_names="categories in the JSON",
        read=read_mscoco,
    ),
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (*_TARGET_DOMAINS, *_META_DATASET)}
"""Every data set by name."""
TARGET_DOMAINS: tuple[str, ...] = tuple(dataset.name for dataset in _TARGET_DOMAINS)
"""The four of the published tables, in their order."""
META_DATASET: tuple[str, ...] = tuple(dataset.name for dataset in _META_DATASET)
"""The ten of Meta-Dataset."""
