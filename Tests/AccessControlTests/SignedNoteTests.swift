// What this is: signed notes, each bit of one turned over; lines of keys, held against one that another program made.
// Owns: the public key line of sum.golang.org.
// Never: shows a key that is used.
// On failure: names the byte.
import LinuxSystem
import TestKit
import Testing

@testable import AccessControl

@Suite struct SignedNoteTests {
    @Test("a key line is read as it is written, and no other") func keys() throws {
        let folder = try Folder(in: "/dev/shm")
        let key = try SigningKey("key", in: folder.directory)
        #expect(try folder.directory.status("key").mode & 0o777 == 0o600)
        #expect(try SigningKey("key", in: folder.directory).publicBytes == key.publicBytes)
        let verifier = NoteVerifier(name: "bobbin/x/bundles", key.publicBytes)
        #expect(NoteVerifier(verifier.text) == verifier)
        // Of sum.golang.org, as its documentation has it: id and key belong together by the same rule.
        let other = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
        #expect(NoteVerifier(other)?.name == "sum.golang.org" && NoteVerifier(other)?.text == other)
        for wrong in [
            "", "a+b", "a+b+c", "+\(verifier.text)", verifier.text + " ", "x" + verifier.text,
            String(verifier.text.dropLast()), other.replacing("033de0ae", with: "033de0af"),
            other.replacing("sum", with: "s m"),
        ] { #expect(NoteVerifier(wrong) == nil, "\(wrong)") }
        try folder.put("short", "abc")
        #expect(throws: SystemError.self) { try SigningKey("short", in: folder.directory) }
    }

    @Test("each bit of a note counts, and only whose it is") func notes() throws {
        let folder = try Folder(in: "/dev/shm")
        let key = try SigningKey("key", in: folder.directory)
        let other = try SigningKey("other", in: folder.directory)
        let verifier = NoteVerifier(name: "me", key.publicBytes)
        let note = try key.sign("one\ntwo\n", as: "me")
        #expect(verifier.open(note) == "one\ntwo\n")
        #expect(NoteVerifier(name: "you", key.publicBytes).open(note) == nil)
        #expect(NoteVerifier(name: "me", other.publicBytes).open(note) == nil)
        #expect(verifier.open(try other.sign("one\ntwo\n", as: "me")) == nil)
        let bytes = Array(note.utf8)
        for index in bytes.indices {
            for bit in 0..<8 {
                var wrong = bytes
                wrong[index] ^= 1 << bit
                #expect(
                    verifier.open(String(decoding: wrong, as: UTF8.self)) == nil, "byte \(index), bit \(bit)")
            }
            #expect(verifier.open(String(decoding: bytes[..<index], as: UTF8.self)) == nil)
        }
        for wrong in [note + "x", "x" + note, note + note, note + "\n", "\n" + note] {
            #expect(verifier.open(wrong) == nil)
        }
    }
}
