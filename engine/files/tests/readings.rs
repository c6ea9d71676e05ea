//! Readings: rows as they may come, and each bad row with its one-line error.

use centauri_engine::Report;
use centauri_files::{Directory, Format, Reading, Readings, collect_rounds};

fn directory() -> Directory {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    [("coin".to_owned(), names(&["top", "middle", "bottom"])), ("a,\"b\"".to_owned(), names(&["é", "x;y=z"]))]
        .into_iter()
        .collect()
}

fn read(format: Format, bytes: &[u8]) -> Result<Vec<Reading>, String> {
    let directory = directory();
    let readings = Readings::new(format, bytes, "in", &directory).map_err(|error| error.to_string())?;
    readings.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn row(stream: usize, round: i64, replica: usize, value: Option<f64>, line: u64) -> Reading {
    Reading { stream, round, replica, value, line }
}

#[test]
fn good_csv() {
    let expected = vec![row(0, 1, 0, Some(2.5), 2), row(0, -7, 2, None, 3), row(1, 0, 0, Some(-1e-300), 4)];
    for text in [
        "stream,round,replica,value\ncoin,1,top,2.5\ncoin,-7,bottom,\n\"a,\"\"b\"\"\",0,é,-1e-300\n",
        "\u{feff}stream,round,replica,value\r\ncoin,1,top,2.5\r\ncoin,-7,bottom,\r\n\"a,\"\"b\"\"\",0,é,-1e-300\r\n",
        "\"value\",replica , round,stream\n2.5,top,1,coin\n  ,\"bottom\",\"-7\",coin\n-1e-300,é,+0,\"a,\"\"b\"\"\"",
    ] {
        assert_eq!(read(Format::Csv, text.as_bytes()).unwrap(), expected, "{text}");
    }
    let blank = "\n\nstream,round,replica,value\r\n\r\n\ncoin,1,top,2.5\n\n";
    assert_eq!(read(Format::Csv, blank.as_bytes()).unwrap(), [row(0, 1, 0, Some(2.5), 6)]);
    assert_eq!(read(Format::Csv, b"stream,round,replica,value").unwrap(), []);
}

#[test]
fn good_json_lines() {
    let text = concat!(
        "\u{feff}{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\",\"value\":2.5}\r\n",
        "\n",
        " { \"value\" : null, \"replica\" : \"b\\u006fttom\", \"round\" : -7, \"stream\" : \"coin\" } \n",
        "{\"stream\":\"a,\\\"b\\\"\",\"round\":0,\"replica\":\"é\",\"value\":3}\n",
        "{\"stream\":\"coin\",\"round\":9,\"replica\":\"top\"}",
    );
    let expected = [
        row(0, 1, 0, Some(2.5), 1),
        row(0, -7, 2, None, 3),
        row(1, 0, 0, Some(3.0), 4),
        row(0, 9, 0, None, 5),
    ];
    assert_eq!(read(Format::JsonLines, text.as_bytes()).unwrap(), expected);
    assert_eq!(read(Format::JsonLines, b"").unwrap(), []);
}

#[test]
fn bad_csv() {
    let huge = [b"stream,round,replica,value\ncoin,1,".as_slice(), &vec![b'x'; 3 << 20]].concat();
    let unclosed = [
        b"stream,round,replica,value\ncoin,1,top,2\n\"coin,1,top,2\n".as_slice(),
        &b"coin,1,top,2\n".repeat(200_000),
    ]
    .concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "in:1: found an empty file, expected the header stream,round,replica,value"),
        (b"\n\r\n", "in:1: found an empty file, expected the header stream,round,replica,value"),
        (b"stream,round,replica\n", "in:1: found no column value, expected stream,round,replica,value"),
        (
            b"stream,round,replica,value,time\n",
            "in:1: unknown column \"time\", expected stream,round,replica,value",
        ),
        (
            b"stream,round,replcia,value\n",
            "in:1: unknown column \"replcia\", expected stream,round,replica,value; did you mean replica?",
        ),
        (b"stream,round,replica,value,\n", "in:1: unknown column \"\", expected stream,round,replica,value"),
        (b"stream,round,replica,value,round\n", "in:1: found the column round twice"),
        (b"coin,1,top,2\n", "in:1: unknown column \"coin\", expected stream,round,replica,value"),
        (b"@coin,1,top,2,\n", "found 5 fields, expected 4"),
        (b"@coin,1,top\n", "found 3 fields, expected 4"),
        (b"@coin\n", "found 1 field, expected 4"),
        (b"@coin,1,\"top\"x,2\n", "found \"x,2\" after a closing quote, expected a comma"),
        (b"@dice,1,top,2\n", "unknown stream: found \"dice\", expected one of coin, \"a,\\\"b\\\"\""),
        (
            b"@coins,1,top,2\n",
            "unknown stream: found \"coins\", expected one of coin, \"a,\\\"b\\\"\"; did you mean \"coin\"?",
        ),
        (
            b"@coin,1,tpo,2\n",
            "unknown replica of \"coin\": found \"tpo\", expected one of top, middle, bottom; did you mean \"top\"?",
        ),
        (
            b"@coin,1, top,2\n",
            "unknown replica of \"coin\": found \" top\", expected one of top, middle, bottom; did you mean \"top\"?",
        ),
        (b"@coin,1.0,top,2\n", "round: found \"1.0\", expected a whole number of 64 bits"),
        (b"@coin,,top,2\n", "round: found \"\", expected a whole number of 64 bits"),
        (
            b"@coin,9223372036854775808,top,2\n",
            "round: found \"9223372036854775808\", expected a whole number of 64 bits",
        ),
        (b"@coin,1,top,nan\n", "value: found \"nan\", expected a finite number or nothing"),
        (b"@coin,1,top,-inf\n", "value: found \"-inf\", expected a finite number or nothing"),
        (b"@coin,1,top,1e999\n", "value: found \"1e999\", expected a finite number or nothing"),
        (b"@coin,1,top,\"1,5\"\n", "value: found \"1,5\", expected a finite number or nothing"),
        (b"@coin,1,top,2\x00\n", "value: found \"2\\0\", expected a finite number or nothing"),
        (
            b"@co\x00in,1,top,2\n",
            "unknown stream: found \"co\\0in\", expected one of coin, \"a,\\\"b\\\"\"; did you mean \"coin\"?",
        ),
        (
            b"@co\xffin,1,top,2\n",
            "unknown stream: found \"co\u{fffd}in\", expected one of coin, \"a,\\\"b\\\"\"; did you mean \"coin\"?",
        ),
        (&huge, "in:2: found a row of more than 1048576 bytes"),
        (&unclosed, "in:3: found a quote that is not closed on its line"),
    ];
    for (text, expected) in cases {
        // After an `@`, the bad row comes as line 3, with either line ending.
        let texts = match text.strip_prefix(b"@") {
            None => vec![text.to_vec()],
            Some(text) => ["\n", "\r\n"]
                .map(|end| {
                    [format!("stream,round,replica,value{end}coin,1,top,1{end}").as_bytes(), text].concat()
                })
                .to_vec(),
        };
        let expected =
            if text.starts_with(b"@") { format!("in:3: {expected}") } else { (*expected).to_owned() };
        for text in texts {
            assert_eq!(read(Format::Csv, &text).unwrap_err(), expected);
        }
    }
}

#[test]
fn bad_json_lines() {
    let cases: &[(&[u8], &str)] = &[
        (b"[\"coin\",1,\"top\",2]", "expected an object with stream, round, replica and value"),
        (b"stream,round", "expected an object with stream, round, replica and value"),
        (b"{\"stream\":\"coin\",\"round\":1}", "missing field `replica` (column"),
        (
            b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\",\"time\":2}",
            "unknown field `time`, expected one of `stream`, `round`, `replica`, `value` (column",
        ),
        (b"{\"stream\":\"coin\",\"stream\":\"coin\"}", "duplicate field `stream` (column"),
        (
            b"{\"stream\":\"coin\",\"round\":1.5,\"replica\":\"top\"}",
            "invalid type: floating point `1.5`, expected i64 (column",
        ),
        (
            b"{\"stream\":\"coin\",\"round\":9223372036854775808,\"replica\":\"top\"}",
            "invalid value: integer `9223372036854775808`, expected i64 (column",
        ),
        (
            b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\",\"value\":\"2\"}",
            "invalid type: string \"2\", expected f64 (column",
        ),
        (b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\",\"value\":NaN}", "expected value (column"),
        (
            b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\",\"value\":1e999}",
            "number out of range (column",
        ),
        (b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\"} x", "trailing characters (column"),
        (b"{\"stream\":\"co\xffin\",\"round\":1,\"replica\":\"top\"}", "invalid unicode code point (column"),
        (
            b"{\"stream\":\"dice\",\"round\":1,\"replica\":\"top\"}",
            "unknown stream: found \"dice\", expected one of coin, \"a,\\\"b\\\"\"",
        ),
        (
            b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"t\\u000ap\"}",
            "unknown replica of \"coin\": found \"t\\np\", expected one of top, middle, bottom; did you mean \"top\"?",
        ),
    ];
    let good = b"{\"stream\":\"coin\",\"round\":1,\"replica\":\"top\"}\r\n\n".as_slice();
    for (text, expected) in cases {
        let error = read(Format::JsonLines, &[good, text, b"\n", good].concat()).unwrap_err();
        let expected = format!("in:3: {expected}");
        let fits =
            if expected.ends_with(" (column") { error.starts_with(&expected) } else { error == expected };
        assert!(fits, "found    {error}\nexpected {expected}");
    }
    let deep = [b"{\"stream\":".as_slice(), &vec![b'['; 100_000]].concat();
    assert!(read(Format::JsonLines, &deep).unwrap_err().starts_with("in:1: "));
    let huge = [b"{\"stream\":\"".as_slice(), &vec![b'x'; 2 << 20]].concat();
    assert_eq!(read(Format::JsonLines, &huge).unwrap_err(), "in:1: found a row of more than 1048576 bytes");
}

#[test]
fn nothing_comes_after_an_error() {
    let directory = directory();
    let text = "stream,round,replica,value\ncoin,x,top,1\ncoin,1,top,1\n";
    let mut readings = Readings::new(Format::Csv, text.as_bytes(), "in", &directory).unwrap();
    assert!(readings.next().unwrap().is_err());
    assert!(readings.next().is_none());
}

#[test]
fn a_failing_input_is_told() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let directory = directory();
    let error = Readings::new(Format::Csv, Failing, "in", &directory).unwrap_err();
    assert_eq!(error.to_string(), "in: reading: the disk is gone");
}

#[test]
fn rounds_in_order_whatever_the_order_of_rows() {
    let text = "stream,round,replica,value\n\
        coin,2,top,1\ncoin,-1,top,\ncoin,2,middle,5\ncoin,2,top,1.0\n\"a,\"\"b\"\"\",3,é,7\ncoin,2,middle,6\ncoin,2,middle,5\ncoin,2,bottom,\n";
    let directory = directory();
    let readings = Readings::new(Format::Csv, text.as_bytes(), "in", &directory).unwrap();
    let rounds: Vec<_> = collect_rounds(readings, &directory).unwrap().map(Result::unwrap).collect();
    let found: Vec<_> = rounds.iter().map(|r| (r.stream, r.round, r.reports.as_slice())).collect();
    use Report::{Equivocated, Missing, Value};
    let expected: [(usize, i64, &[Report]); 3] = [
        (1, 3, &[Value(7.0), Missing]),
        (0, -1, &[Missing, Missing, Missing]),
        (0, 2, &[Value(1.0), Equivocated, Missing]),
    ];
    assert_eq!(found, expected);
}
