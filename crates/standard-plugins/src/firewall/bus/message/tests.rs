//! Bytes as a bus sends them, and bytes that no bus sends.

use super::*;

/// What dbus-daemon 1.14 answered to Hello, and firewalld's words about a source that is in a zone already.
const HELLO: &[u8] = b"l\x02\x01\x01\x09\x00\x00\x00\x01\x00\x00\x00\x3d\x00\x00\x00\
    \x06\x01s\x00\x04\x00\x00\x00:1.7\x00\x00\x00\x00\x05\x01u\x00\x01\x00\x00\x00\
    \x08\x01g\x00\x01s\x00\x00\x07\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00\
    \x04\x00\x00\x00:1.7\x00";

fn call(arguments: &[&str]) -> Vec<u8> {
    let call = MethodCall {
        destination: "org.a.B",
        path: "/org/a/B",
        interface: "org.a.B.zone",
        member: "addSource",
        arguments,
        may_start: false,
    };
    call.to_bytes(7).unwrap()
}

/// An answer to 7 with one value, which is written as numbers and bytes.
fn answer_bytes(kind: u8, order: u8, signature: u8, value: &[u8]) -> Vec<u8> {
    let number = |value: u32| match order {
        b'l' => value.to_le_bytes(),
        _ => value.to_be_bytes(),
    };
    let mut fields = vec![field::REPLY_SERIAL, 1, b'u', 0];
    fields.extend(number(7));
    if kind == ERROR {
        fields.extend([field::ERROR_NAME, 1, b's', 0]);
        fields.extend(number(5));
        fields.extend(b"a.b.C\0\0\0");
        fields.resize(fields.len().next_multiple_of(8), 0);
    }
    fields.extend([field::SIGNATURE, 1, b'g', 0, 1, signature, 0]);
    let mut body = Vec::new();
    if signature == b's' {
        body.extend(number(u32::try_from(value.len()).unwrap()));
        body.extend(value.iter().chain(&[0]));
    } else {
        body.extend(number(u32::from(value[0])));
    }
    let mut message = vec![order, kind, 1, VERSION];
    message.extend(number(u32::try_from(body.len()).unwrap()));
    message.extend(number(3));
    message.extend(number(u32::try_from(fields.len()).unwrap()));
    message.extend(&fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(&body);
    message
}

#[test]
fn a_call_is_laid_out_as_the_specification_has_it() {
    let message = call(&["trusted", "10.1.0.2/32"]);
    assert_eq!(message[..4], [b'l', METHOD_CALL, NO_AUTO_START, VERSION]);
    assert_eq!(message[4..8], 28_u32.to_le_bytes(), "the body: two strings, the second aligned");
    assert_eq!(message[8..12], 7_u32.to_le_bytes());
    let fixed: &[u8; FIXED_BYTES] = message[..FIXED_BYTES].try_into().unwrap();
    assert_eq!(rest_of(fixed), Some(message.len() - FIXED_BYTES));
    assert_eq!(message[message.len() - 28..][..4], 7_u32.to_le_bytes());
    assert!(message.ends_with(b"\x0b\0\0\x0010.1.0.2/32\0"));
    assert!(answer(&message).is_none(), "a call is no answer");
    let without = call(&[]);
    assert_eq!(without.len() % 8, 0);
    assert_eq!(without[4..8], [0; 4]);
}

#[test]
fn the_answer_of_a_bus_is_read() {
    let answer = answer(HELLO).unwrap();
    assert_eq!(answer, Answer { to: 1, outcome: Ok(Returned::Text(":1.7".to_owned())) });
}

#[test]
fn answers_are_read_in_either_byte_order() {
    for order in [b'l', b'B'] {
        let text = answer(&answer_bytes(METHOD_RETURN, order, b's', b"trusted")).unwrap();
        assert_eq!(text, Answer { to: 7, outcome: Ok(Returned::Text("trusted".to_owned())) });
        let flag = answer(&answer_bytes(METHOD_RETURN, order, b'b', &[1])).unwrap();
        assert_eq!(flag.outcome, Ok(Returned::Flag(true)));
        let other = answer(&answer_bytes(METHOD_RETURN, order, b'i', &[1])).unwrap();
        assert_eq!(other.outcome, Ok(Returned::Other));
        let error = answer(&answer_bytes(ERROR, order, b's', b"ZONE_ALREADY_SET: x")).unwrap();
        let expected = ("a.b.C".to_owned(), "ZONE_ALREADY_SET: x".to_owned());
        assert_eq!(error.outcome, Err(expected));
    }
}

#[test]
fn what_is_cut_off_or_too_long_is_no_answer() {
    for length in 0..HELLO.len() {
        assert_eq!(answer(&HELLO[..length]), None, "{length}");
    }
    let mut fixed: [u8; FIXED_BYTES] = HELLO[..FIXED_BYTES].try_into().unwrap();
    assert_eq!(rest_of(&fixed), Some(HELLO.len() - FIXED_BYTES));
    for place in [4, 12] {
        let mut long = fixed;
        long[place..place + 4].fill(0xff);
        assert_eq!(rest_of(&long), None);
    }
    fixed[0] = b'x';
    assert_eq!(rest_of(&fixed), None);
}
