// What this is: the name under which a site signs the checkpoints of its audit log.
// Owns: that name.
// Never: two sites with the same one: it holds the spool's id.
// On failure: nothing here fails.
import SpoolQueue

public enum AuditOrigin {
    public static func name(_ spool: Spool) -> String { "bobbin/\(spool.id)" }
}
