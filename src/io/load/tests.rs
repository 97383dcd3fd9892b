use super::*;
use crate::data::png::encode;
use crate::io::test_folder;
use std::fs;

/// Where the tests find real data; `None`, with a line on standard error, if it is not there.
fn shared_data(test: &str, name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let root = if beside.exists() { Some(beside) } else { std::env::var_os("EBM_DATA").map(Into::into) };
    let path = root.unwrap_or_else(|| "../shared/data".into()).join(name);
    if !path.exists() {
        eprintln!("skipped: {test}: no {}", path.display());
        return None;
    }
    Some(path)
}

fn message(spec: &str) -> String {
    let text = load(spec, Split::Train, None).unwrap_err().to_string();
    assert!(text.lines().count() == 1 && !text.contains(char::is_control), "{text:?}");
    text
}

#[test]
fn wrong_specs_say_what_would_be_right() {
    assert!(message("mnits:x").contains("did you mean 'mnist:...'"));
    assert!(message("mnist").contains("mnist:DIR"));
    assert!(message("half").contains("half:the data of images"));
    assert!(message("toy:two-moon").contains("two-moons"));
    assert!(message("uniform-noise:28x28").contains("28x28x1"));
    assert!(message("half:toy:two-moons").contains("not images"));
    assert!(message(&"half:".repeat(100_000)).contains("half:the data of images"));
    assert!(message("half:half:uniform-noise:6x6x1:1").contains("images of 3 x 3 cannot be halved"));
    message("no\u{1b}[31mcolour:\r\n");
    message("npy:no\u{1b}[31mcolour\n");
    let half = load("half:uniform-noise:4x6x3:5", Split::Test, None).unwrap();
    assert_eq!((half.sample_shape.as_slice(), half.len()), (&[2, 3, 3][..], 5));
}

#[test]
fn a_missing_set_is_named_with_where_it_was_looked_for_and_what_it_is() {
    let text = load("mnist:no/such", Split::Test, Some(Path::new("/data"))).unwrap_err().to_string();
    assert!(text.contains("no/such: not found, nor is /data/no/such (EBM_DATA)"), "{text}");
    assert!(text.contains("--data mnist:DIR wants the four .gz files of \"The MNIST database"), "{text}");
    assert!(message("npy:none.npy").contains("none.npy: not found, and EBM_DATA names no folder"));
    let text = message("cifar10:/nowhere");
    assert!(
        text.contains("/nowhere: not found; --data cifar10:DIR or FILE wants \"CIFAR-10 binary version\""),
        "{text}"
    );
    let empty = test_folder("load-missing");
    let text = message(&format!("mnist:{}", empty.display()));
    assert!(text.contains("train-images-idx3-ubyte: not found") && text.contains("MNIST database"), "{text}");
    let text = message(&format!("cifar10:{}", empty.display()));
    assert!(text.contains("data_batch_1.bin") && text.contains("CIFAR-10 binary version"), "{text}");
}

#[test]
fn relative_paths_are_found_under_the_data_root() {
    let root = test_folder("load-root");
    crate::io::npy::write(root.join("a/points.npy"), &[20, 3], &[0.5; 60]).unwrap();
    let load = |split| load("npy:a/points.npy", split, Some(&root)).unwrap();
    assert_eq!((load(Split::Train).len(), load(Split::Test).len()), (18, 2));
    assert_eq!(load(Split::Test).sample_shape, [3]);
    assert_eq!(load(Split::Test).name, "npy:a/points.npy (test)");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused() {
    let folder = test_folder("load-pipe");
    let pipe = folder.join("a.npy");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(message(&format!("npy:{}", pipe.display())).contains("pipe or device"));
        assert!(message(&format!("cifar10:{}", pipe.display())).contains("pipe or device"));
    }
    assert!(message("npy:/dev/zero").contains("pipe or device"));
    assert!(message("png:/dev/zero").contains("cannot read this folder"));
}

#[test]
fn a_pair_of_idx_files_must_belong_together() {
    let folder = test_folder("load-idx");
    let images = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1, 2, 3, 4, 5];
    fs::write(folder.join("train-images-idx3-ubyte"), images).unwrap();
    fs::write(folder.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 1, 0]).unwrap();
    let spec = format!("mnist:{}", folder.display());
    let set = load(&spec, Split::Train, None).unwrap();
    assert_eq!((set.sample_shape, set.labels), (vec![1, 3, 1], Some(vec![1, 0])));
    fs::write(folder.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 1]).unwrap();
    assert!(message(&spec).contains("1 labels for 2 images"));
}

#[test]
fn records_are_taken_from_the_files_of_the_split() {
    let folder = test_folder("load-cifar");
    let spec = format!("cifar10:{}", folder.display());
    fs::write(folder.join("a.bin"), [0; 3073]).unwrap();
    assert_eq!(load(&spec, Split::Train, None).unwrap().classes[9], "9");
    fs::write(folder.join("batches.meta.txt"), "cat\ndog\n").unwrap();
    assert!(message(&spec).contains("2 names, expected 10"));
    fs::write(folder.join("b.bin"), [0; 3073]).unwrap();
    assert!(message(&spec).contains("(2 found)"));
    fs::remove_file(folder.join("batches.meta.txt")).unwrap();
    // A test file alone is never taken for the training set.
    fs::write(folder.join("test_batch.bin"), [0; 3073]).unwrap();
    assert_eq!(load(&spec, Split::Test, None).unwrap().len(), 1);
    assert!(message(&spec).contains("data_batch_1.bin: not found"));
}

#[test]
fn a_folder_of_pictures_is_labelled_by_its_subfolders() {
    let folder = test_folder("load-png");
    let put = |file: &str, shape, pixels: &[u8]| {
        crate::io::atomic::write_bytes(folder.join(file), &encode(shape, pixels)).unwrap();
    };
    [("b/0", 3), ("a/1", 2), ("a/0", 1)].iter().for_each(|(file, v)| put(&format!("{file}.png"), [1, 1, 1], &[*v]));
    let set = load_png(&folder).unwrap();
    assert_eq!((set.values, set.labels), (Values::U8(vec![1, 2, 3]), Some(vec![0, 0, 1])));
    assert_eq!(set.classes, ["a", "b"]);
    let flat = load_png(&folder.join("a")).unwrap();
    assert_eq!((flat.len(), flat.labels), (2, None));
    put("stray.png", [1, 1, 1], &[0]);
    assert!(load_png(&folder).unwrap_err().to_string().contains("keep one kind"));
    put("a/2.png", [2, 1, 1], &[0, 0]);
    assert!(load_png(&folder.join("a")).unwrap_err().to_string().contains("[2, 1, 1]"));
}

#[test]
fn the_real_idx_sets_have_their_known_counts_and_first_labels() {
    let sets = [
        ("mnist", Split::Train, 60_000, vec![5, 0, 4, 1, 9]),
        ("mnist", Split::Test, 10_000, vec![7, 2, 1, 0, 4]),
        ("fashion-mnist", Split::Train, 60_000, vec![9, 0, 0, 3, 0]),
        ("emnist-letters", Split::Test, 20_800, vec![0; 5]), // 800 of each letter, in order: A first
    ];
    for (name, split, count, first) in sets {
        let Some(dir) = shared_data("idx", name) else { return };
        let set = Dataset::load(&format!("{name}:{}", dir.display()), split).unwrap();
        assert_eq!((set.len(), &set.sample_shape[..]), (count, &[28, 28, 1][..]), "{name}");
        assert_eq!(set.labels.as_ref().unwrap()[..5], first, "{name}");
    }
    let Some(dir) = shared_data("idx", "mnist") else { return };
    let set = Dataset::load(&format!("mnist:{}", dir.display()), Split::Train).unwrap();
    let Values::U8(bytes) = &set.values else { panic!("MNIST is stored as bytes") };
    let mean = bytes.iter().map(|&b| f64::from(b)).sum::<f64>() / bytes.len() as f64 / 255.0;
    assert!((mean - 0.1307).abs() < 5e-5, "the known mean of MNIST, found {mean}");
}

#[test]
fn damaged_copies_of_a_real_file_are_refused() {
    let Some(real) = shared_data("damaged_copies", "mnist") else { return };
    let folder = test_folder("load-idx-real");
    let (images, labels) = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz");
    let (image_bytes, label_bytes) = (fs::read(real.join(images)).unwrap(), fs::read(real.join(labels)).unwrap());
    let refuse = |image_bytes: &[u8], label_bytes: &[u8]| {
        fs::write(folder.join(images), image_bytes).unwrap();
        fs::write(folder.join(labels), label_bytes).unwrap();
        let result = Dataset::load(&format!("mnist:{}", folder.display()), Split::Test);
        assert!(matches!(result, Err(Error::Format { .. })), "{result:?}");
    };
    refuse(&image_bytes[..image_bytes.len() / 2], &label_bytes);
    refuse(&image_bytes[..image_bytes.len() - 1], &label_bytes);
    refuse(&label_bytes, &image_bytes);
    let mut flipped = image_bytes.clone();
    flipped[image_bytes.len() / 2] ^= 0x10;
    refuse(&flipped, &label_bytes);
    let train = fs::read(real.join("train-labels-idx1-ubyte.gz")).unwrap();
    refuse(&image_bytes, &train); // 60 000 labels for 10 000 images
}

/// The letter T upright has more ink in its top rows than at its bottom; left and right are balanced.
#[test]
fn emnist_letters_stand_upright() {
    let Some(dir) = shared_data("emnist_letters_stand_upright", "emnist-letters") else { return };
    let set = Dataset::load(&format!("emnist-letters:{}", dir.display()), Split::Test).unwrap();
    let labels = set.labels.as_ref().unwrap();
    let tees: Vec<usize> = (0..set.len()).filter(|&i| set.classes[labels[i] as usize] == "T").collect();
    assert_eq!(tees.len(), 800);
    let pixels = set.rows(&tees);
    let ink = |part: &dyn Fn(usize, usize) -> bool| {
        let inside = |p: &(usize, &f32)| part(p.0 / 28 % 28, p.0 % 28);
        pixels.iter().enumerate().filter(inside).map(|(_, v)| f64::from(*v)).sum::<f64>()
    };
    let (top, bottom) = (ink(&|i, _| i < 12), ink(&|i, _| i >= 16));
    let (left, right) = (ink(&|_, j| j < 12), ink(&|_, j| j >= 16));
    assert!(top / bottom > 1.2 * (left / right).max(right / left), "{top} {bottom} {left} {right}");
}

#[test]
fn cifar_10_has_its_known_class_counts_mean_and_deviation() {
    let Some(dir) = shared_data("cifar_10", "cifar-10-batches-bin") else { return };
    let spec = format!("cifar10:{}", dir.display());
    let train = Dataset::load(&spec, Split::Train).unwrap();
    assert_eq!((train.len(), &train.sample_shape[..]), (50_000, &[32, 32, 3][..]));
    let Values::U8(bytes) = &train.values else { panic!("CIFAR is stored as bytes") };
    // The mean of all pixels of a channel, and the deviation of all pixels of a channel.
    for (c, (mean, std)) in [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)].into_iter().enumerate() {
        let values = || bytes.iter().skip(c).step_by(3).map(|&b| f64::from(b) / 255.0);
        let n = (bytes.len() / 3) as f64;
        let m = values().sum::<f64>() / n;
        let s = (values().map(|v| (v - m).powi(2)).sum::<f64>() / n).sqrt();
        assert!((m - mean).abs() < 6e-5 && (s - std).abs() < 6e-5, "channel {c}: {m} {s}");
    }
    let count = |labels: &[u32]| -> Vec<usize> {
        (0..10).map(|class| labels.iter().filter(|&&l| l == class).count()).collect()
    };
    let labels = train.labels.unwrap();
    assert_eq!(count(&labels[..10_000]), [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]);
    assert_eq!(count(&labels), [5000; 10]);
    let test = Dataset::load(&spec, Split::Test).unwrap();
    assert_eq!(count(test.labels.as_ref().unwrap()), [1000; 10]);
    assert_eq!(test.classes[9], "truck");
}

#[test]
fn the_png_samples_equal_their_binary_records() {
    let Some(dir) = shared_data("png_samples", "cifar-10-batches-bin") else { return };
    let Some(samples) = shared_data("png_samples", "cifar-10-png-sample") else { return };
    let test = Dataset::load(&format!("cifar10:{}", dir.display()), Split::Test).unwrap();
    let (Values::U8(bytes), Some(labels)) = (&test.values, &test.labels) else { panic!("bytes and labels") };
    let mut compared = 0;
    for (class, name) in test.classes.iter().enumerate() {
        for path in sorted(&samples.join(name)).unwrap() {
            let record: usize = path.file_stem().unwrap().to_str().unwrap()[5..].parse().unwrap();
            let (pixels, shape) = crate::io::png::read(&path).unwrap();
            assert_eq!((shape, labels[record] as usize), ([32, 32, 3], class));
            assert_eq!(pixels, bytes[record * 3072..(record + 1) * 3072], "{}", path.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 100);
    let parts = [Split::Train, Split::Test].map(|split| {
        let set = Dataset::load(&format!("png:{}", samples.display()), split).unwrap();
        (set.len(), set.classes.len())
    });
    assert_eq!(parts, [(90, 10), (10, 10)]);
}

#[test]
fn the_other_sets_of_the_cifar_layout_load() {
    let Some(dir) = shared_data("other_sets", "cifar-100-subset") else { return };
    let set = Dataset::load(&format!("cifar100:{}", dir.display()), Split::Test).unwrap();
    let labels = set.labels.as_ref().unwrap();
    assert_eq!((set.len(), labels.iter().filter(|&&l| l == 42).count()), (3000, 30));
    let Some(dir) = shared_data("other_sets", "dtd-32x32") else { return };
    let set = Dataset::load(&format!("dtd:{}", dir.join("dtd10_32x32.bin.gz").display()), Split::Test).unwrap();
    assert_eq!((set.len(), set.classes[5].as_str()), (1200, "chequered"));
}
