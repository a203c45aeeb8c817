"""Names tell the part, the role and the data set."""

import pytest

from hitofude.inputs.formats.naming import Name, is_shard, is_template, read_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.csv", Name("train", None, ())),
        ("Test.csv", Name("test", None, ())),
        ("X.npy", Name(None, "images", ())),
        ("y_train.npy", Name("train", "labels", ())),
        ("x_y.h5", Name(None, None, ())),
        ("trainX", Name("train", "images", ())),
        ("xtest", Name("test", "images", ())),
        ("trainLabels.csv", Name("train", "labels", ())),
        ("train-images.idx3-ubyte", Name("train", "images", ())),
        ("t10k-labels-idx1-ubyte.gz", Name("test", "labels", ())),
        ("emnist-digits-train-images-idx3-ubyte.gz", Name("train", "images", ("emnist", "digits"))),
        ("qmnist-test-labels-idx2-int.gz", Name("test", "labels", ("qmnist",))),
        ("k49-train-imgs.npz", Name("train", "images", ("k49",))),
        ("csvTrainImages 13440x1024.csv", Name("train", "images", ())),
        ("csvTestLabel 3360x1.csv", Name("test", "labels", ())),
        ("ARDIS_train_2828.csv", Name("train", None, ("ardis",))),
        ("sign_mnist_test.csv", Name("test", None, ("sign", "mnist"))),
        ("usps.t.bz2", Name("test", None, ("usps",))),
        ("optdigits.tra", Name("train", None, ("optdigits",))),
        ("train-00000-of-00002.parquet", Name("train", None, ())),
        ("data_batch_3.bin", Name("train", None, ("cifar",))),
        ("test1", Name("test", None, ())),
        ("seg_train", Name("train", None, ("seg",))),
        ("extra_32x32.mat", Name("other", None, ())),
        ("valid", Name("validation", None, ())),
        ("dataset/train/images", Name("train", "images", ())),
        ("t-shirt", Name(None, None, ("t", "shirt"))),
        ("contest.csv", Name(None, None, ("contest",))),
        ("trainees.csv", Name(None, None, ("trainees",))),
        ("Dig-MNIST.csv", Name(None, None, ("dig", "mnist"))),
    ],
)
def test_a_name_is_understood_by_its_words(text: str, expected: Name) -> None:
    assert read_name(text) == expected


def test_shards_and_sample_submissions_are_known_by_their_names() -> None:
    assert [is_shard(name) for name in ("train-00001-of-00002.parquet", "data_batch_5", "train-1.csv")] == [1, 1, 0]
    names = ("sample_submission.csv", "sampleSubmission.csv", "SampleSubmission.csv", "submissions_guide.csv")
    assert [is_template(name) for name in names] == [1, 1, 1, 0]
