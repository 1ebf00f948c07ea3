#include "server/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"
#include "common/util/time.h"

/* Ours, in the header of the file: "CSRD". */
enum { STORE_APPLICATION = 0x43535244, BUSY_MS = 5000 };

/* Step n brings a database of version n to n + 1. Steps are never changed, only added. */
static const char *const migrations[] = {
    /* 0: a new file */
    "CREATE TABLE users (id BLOB PRIMARY KEY, name TEXT NOT NULL, canonical TEXT NOT NULL UNIQUE,"
    " skeleton TEXT NOT NULL UNIQUE, email TEXT, salt BLOB NOT NULL, t INT NOT NULL,"
    " m INT NOT NULL, sealed BLOB NOT NULL, disabled INT NOT NULL, admin INT NOT NULL,"
    " since INT NOT NULL) STRICT;"
    "CREATE TABLE devices (fp BLOB PRIMARY KEY, account BLOB NOT NULL REFERENCES users(id),"
    " name TEXT NOT NULL, since INT NOT NULL, revoked INT NOT NULL, leaf BLOB NOT NULL,"
    " issuer BLOB NOT NULL) STRICT;"
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY, current BLOB NOT NULL UNIQUE, former BLOB,"
    " fp BLOB NOT NULL REFERENCES devices(fp), account BLOB NOT NULL REFERENCES users(id),"
    " until INT NOT NULL, ended INT NOT NULL) STRICT;"
    "CREATE INDEX sessions_former ON sessions (former);"
    "CREATE INDEX sessions_fp ON sessions (fp);"
    "CREATE TABLE rooms (id BLOB PRIMARY KEY, name TEXT NOT NULL, canonical TEXT NOT NULL UNIQUE,"
    " skeleton TEXT NOT NULL UNIQUE, kind INT NOT NULL, history INT NOT NULL,"
    " topic TEXT NOT NULL, since INT NOT NULL) STRICT;"
    "CREATE TABLE members (room BLOB NOT NULL REFERENCES rooms(id),"
    " account BLOB NOT NULL REFERENCES users(id), state INT NOT NULL, role INT NOT NULL,"
    " from_number INT NOT NULL, delivered INT NOT NULL, since INT NOT NULL, invited BLOB,"
    " PRIMARY KEY (room, account)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE messages (room BLOB NOT NULL REFERENCES rooms(id), number INT NOT NULL,"
    " time INT NOT NULL, account BLOB NOT NULL REFERENCES users(id),"
    " fp BLOB NOT NULL REFERENCES devices(fp), seq INT NOT NULL, head BLOB NOT NULL,"
    " line TEXT NOT NULL, sig BLOB NOT NULL, body BLOB, why TEXT,"
    " UNIQUE (room, number), UNIQUE (room, fp, seq), CHECK ((body IS NULL) <> (why IS NULL)))"
    " STRICT;"
    "CREATE INDEX messages_account ON messages (room, account, number);"
    "CREATE TABLE invites (token BLOB PRIMARY KEY, bound INT NOT NULL, for_user BLOB,"
    " keep_devices INT NOT NULL, admin INT NOT NULL, made INT NOT NULL, expires INT NOT NULL,"
    " used_at INT NOT NULL, used_key BLOB, fp BLOB) STRICT;"
    "CREATE TABLE audit_log (event TEXT NOT NULL, account TEXT NOT NULL,"
    " fingerprint TEXT NOT NULL, reason TEXT NOT NULL, address TEXT NOT NULL, time INT NOT NULL,"
    " count INT NOT NULL, folded INT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX audit_folded ON audit_log (event, reason, address, time) WHERE folded;",
    /* 1: the audit log is read by time */
    "CREATE INDEX audit_time ON audit_log (time);",
    /* 2: members sign for themselves; those of before are let in again when they do (3: admitted)
     */
    "ALTER TABLE messages ADD COLUMN seats INT NOT NULL DEFAULT 0;"
    "CREATE INDEX messages_seats ON messages (room, number) WHERE seats;"
    "ALTER TABLE members ADD COLUMN joined INT NOT NULL DEFAULT 0;"
    "UPDATE members SET state = 3 WHERE state = 1;",
    /* 3: rooms have trees; nodes_fill makes those of entries from before */
    "ALTER TABLE messages ADD COLUMN nodes BLOB NOT NULL DEFAULT x'';"
    "CREATE TABLE checkpoints (room BLOB PRIMARY KEY REFERENCES rooms(id), size INT NOT NULL,"
    " time INT NOT NULL, signer BLOB NOT NULL REFERENCES signers(fp), text TEXT NOT NULL,"
    " sig BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE signers (fp BLOB PRIMARY KEY, leaf BLOB NOT NULL, issuer BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID;",
    /* 4: what came of a login outlives its tokens */
    "CREATE TABLE logins (session BLOB PRIMARY KEY, account BLOB NOT NULL REFERENCES users(id),"
    " token BLOB NOT NULL, fp BLOB NOT NULL REFERENCES devices(fp), relay_fp BLOB NOT NULL,"
    " started INT NOT NULL, ended INT NOT NULL, entries INT) STRICT;"
    "CREATE INDEX logins_open ON logins (ended) WHERE ended = 0;",
    /* 5: receipts that were sealed, in the order in which they were */
    "ALTER TABLE logins ADD COLUMN transcript_hash BLOB;"
    "CREATE TABLE receipts (hash BLOB NOT NULL UNIQUE,"
    " session BLOB NOT NULL REFERENCES logins(session), room BLOB NOT NULL REFERENCES rooms(id),"
    " fp BLOB NOT NULL REFERENCES devices(fp), previous BLOB NOT NULL, last INT NOT NULL,"
    " text TEXT NOT NULL, client TEXT NOT NULL, client_sig BLOB NOT NULL, relay TEXT NOT NULL,"
    " relay_sig BLOB NOT NULL, UNIQUE (room, fp, previous)) STRICT;"
    "CREATE INDEX receipts_last ON receipts (room, fp);"
    "CREATE INDEX receipts_session ON receipts (session);",
    /* 6: a session that was cut is sealed later, by what is known of it */
    "ALTER TABLE logins ADD COLUMN link TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE logins ADD COLUMN suite TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE logins ADD COLUMN before INT NOT NULL DEFAULT 0;"
    "ALTER TABLE logins ADD COLUMN after INT NOT NULL DEFAULT 0;",
    /* 7: the audit log is a tree; rows from before are open, and the next start closes them */
    "ALTER TABLE audit_log ADD COLUMN number INT;"
    "ALTER TABLE audit_log ADD COLUMN sealed TEXT;"
    "ALTER TABLE audit_log ADD COLUMN nodes BLOB;"
    "DROP INDEX audit_folded;"
    "CREATE UNIQUE INDEX audit_folded ON audit_log (event, reason, address, time)"
    " WHERE folded AND number IS NULL;"
    "CREATE INDEX audit_open ON audit_log (time) WHERE number IS NULL;"
    "CREATE UNIQUE INDEX audit_number ON audit_log (number) WHERE number IS NOT NULL;"
    "CREATE INDEX audit_known ON audit_log (time) WHERE address <> '' AND address <> sealed;"
    "CREATE TABLE audit_keys (week INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT;"
    "CREATE TABLE audit_checkpoints (day INTEGER PRIMARY KEY, log BLOB NOT NULL, size INT NOT NULL,"
    " time INT NOT NULL, signer BLOB NOT NULL REFERENCES signers(fp), text TEXT NOT NULL,"
    " sig BLOB NOT NULL) STRICT;",
    /* 8: the other member of a direct room seals receipts, too */
    "ALTER TABLE receipts ADD COLUMN member TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE receipts ADD COLUMN member_sig BLOB NOT NULL DEFAULT x'';",
};

enum { STORE_VERSION = COUNT(migrations), STORE_TREES = 3 };

#define USER                                                                                       \
    "id, name, canonical, skeleton, email, salt, t, m, sealed, disabled, admin, since FROM users"
#define SESSION "id, current, former, fp, account, until, ended FROM sessions"
#define MESSAGE                                                                                    \
    "room, number, time, account, fp, seq, head, line, sig, body, why, seats FROM messages"
#define LOGIN                                                                                      \
    "session, account, token, fp, relay_fp, started, ended, entries, transcript_hash, link, "      \
    "suite,"                                                                                       \
    " before, after FROM logins"
#define MESSAGES_ALL "(SELECT coalesce(max(rowid), 0) FROM messages)" /* none is ever deleted */
#define INVITE                                                                                     \
    "token, bound, for_user, keep_devices, admin, made, expires, used_at, used_key, fp FROM "      \
    "invites"

#define AUDIT                                                                                      \
    "event, account, fingerprint, reason, address, time, count, folded, number, sealed, nodes,"    \
    " rowid FROM audit_log"
#define AUDIT_CHECKPOINT "log, size, time, signer, text, sig FROM audit_checkpoints"

/* Every statement of the store: id, text. Prepared once, never built from data. */
#define STATEMENTS(X)                                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(CHANGED, "PRAGMA data_version")                                                              \
    X(USER_PUT, "INSERT INTO users VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"                \
                " ON CONFLICT (id) DO UPDATE SET name=?2, canonical=?3, skeleton=?4, email=?5,"    \
                " salt=?6, t=?7, m=?8, sealed=?9, disabled=?10, admin=?11, since=?12")             \
    X(USER_GET, "SELECT " USER " WHERE id = ?1")                                                   \
    X(USER_FIND, "SELECT " USER " WHERE canonical = ?1")                                           \
    X(USER_LIKE, "SELECT 1 FROM users WHERE skeleton = ?1")                                        \
    X(USER_EACH, "SELECT " USER " ORDER BY canonical")                                             \
    X(DEVICE_ADD, "INSERT INTO devices VALUES (?1,?2,?3,?4,?5,?6,?7)")                             \
    X(DEVICE_REVOKE, "UPDATE devices SET revoked = ?2 WHERE fp = ?1 AND revoked = 0")              \
    X(DEVICE_CHAIN, "SELECT leaf, issuer FROM devices WHERE fp = ?1")                              \
    X(DEVICE_EACH, "SELECT fp, account, name, since, revoked FROM devices ORDER BY since, rowid")  \
    X(SESSION_PUT, "INSERT INTO sessions VALUES (?1,?2,?3,?4,?5,?6,?7) ON CONFLICT (id)"           \
                   " DO UPDATE SET current=?2, former=?3, fp=?4, account=?5, until=?6, ended=?7")  \
    X(SESSION_FIND, "SELECT " SESSION " WHERE current = ?1 OR former = ?1")                        \
    X(SESSION_END, "UPDATE sessions SET ended = ?2 WHERE id = ?1")                                 \
    X(SESSION_DELETE, "DELETE FROM sessions WHERE id = ?1")                                        \
    X(SESSION_END_ALL, "UPDATE sessions SET ended = ?1 WHERE ended = 0")                           \
    X(SESSION_DROP, "DELETE FROM sessions WHERE fp = ?1")                                          \
    X(SESSION_PURGE, "DELETE FROM sessions WHERE until < ?1 OR (ended <> 0 AND ended < ?2)")       \
    X(LOGIN_PUT,                                                                                   \
      "INSERT OR REPLACE INTO logins VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")         \
    X(LOGIN_END,                                                                                   \
      "UPDATE logins SET ended = ?2, entries = ?3, after = " MESSAGES_ALL " WHERE session = ?1")   \
    X(LOGIN_END_ALL, "UPDATE logins SET ended = ?1, after = " MESSAGES_ALL " WHERE ended = 0")     \
    X(LOGIN_EACH, "SELECT " LOGIN " ORDER BY started, rowid")                                      \
    X(LOGIN_GET, "SELECT " LOGIN " WHERE session = ?1")                                            \
    X(LOGIN_SEAL, "UPDATE logins SET transcript_hash = ?2 WHERE session = ?1")                     \
    X(RECEIPT_ADD, "INSERT INTO receipts VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")     \
    X(RECEIPT_COSIGN, "UPDATE receipts SET member = ?2, member_sig = ?3"                           \
                      " WHERE hash = ?1 AND member = ''")                                          \
    X(RECEIPT_GET, "SELECT hash, session, room, fp, previous, last, text, client, client_sig,"     \
                   " relay, relay_sig, member, member_sig FROM receipts WHERE hash = ?1")          \
    X(RECEIPT_PLACE,                                                                               \
      "SELECT hash, last, EXISTS (SELECT 1 FROM receipts WHERE room = ?1 AND fp = ?2"              \
      " AND previous = ?3) FROM receipts WHERE room = ?1 AND fp = ?2 ORDER BY rowid DESC LIMIT 1") \
    X(ROOM_PUT,                                                                                    \
      "INSERT INTO rooms VALUES (?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT (id) DO UPDATE"              \
      " SET name=?2, canonical=?3, skeleton=?4, kind=?5, history=?6, topic=?7, since=?8")          \
    X(ROOM_EACH, "SELECT r.id, r.name, r.canonical, r.skeleton, r.kind, r.history, r.topic,"       \
                 " r.since, m.number, m.head FROM rooms r LEFT JOIN messages m ON m.room = r.id"   \
                 " AND m.number = (SELECT max(number) FROM messages WHERE room = r.id)"            \
                 " ORDER BY r.rowid")                                                              \
    X(MEMBER_PUT,                                                                                  \
      "INSERT INTO members VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT (room,account)"         \
      " DO UPDATE SET state=?3, role=?4, from_number=?5, delivered=?6, since=?7,"                  \
      " invited=?8, joined=?9")                                                                    \
    X(MEMBER_EACH, "SELECT room, account, state, role, from_number, delivered, since, invited,"    \
                   " joined FROM members")                                                         \
    X(MESSAGE_ADD, "INSERT INTO messages VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")     \
    X(MESSAGE_SEQ, "SELECT " MESSAGE " WHERE room = ?1 AND fp = ?2 AND seq = ?3")                  \
    X(MESSAGE_LAST, "SELECT " MESSAGE " WHERE room = ?1 AND fp = ?2 ORDER BY seq DESC LIMIT 1")    \
    X(MESSAGE_FORMER,                                                                              \
      "SELECT room, number, time, account, fp, seq, head, line, sig, NULL, NULL,"                  \
      " seats FROM messages WHERE room = ?1 AND account = ?2 ORDER BY number DESC")                \
    X(MESSAGE_HEAD, "SELECT head FROM messages WHERE room = ?1 AND number = ?2")                   \
    X(MESSAGE_COUNT, "SELECT " MESSAGES_ALL)                                                       \
    X(MESSAGE_PLACE, "SELECT rowid FROM messages WHERE room = ?1 AND number = ?2")                 \
    X(MESSAGE_UP, "SELECT " MESSAGE " WHERE room = ?1 AND number BETWEEN ?2 AND ?3"                \
                  " ORDER BY number")                                                              \
    X(MESSAGE_DOWN, "SELECT " MESSAGE " WHERE room = ?1 AND number BETWEEN ?3 AND ?2"              \
                    " ORDER BY number DESC")                                                       \
    X(MESSAGE_SEATS, "SELECT " MESSAGE " WHERE room = ?1 AND number > ?2 AND seats"                \
                     " ORDER BY number")                                                           \
    X(MESSAGE_NODE, "SELECT substr(nodes, 1 + 32 * ?3, 32) FROM messages WHERE room = ?1"          \
                    " AND number = ?2 AND length(nodes) >= 32 * (1 + ?3)")                         \
    X(MESSAGE_LATEST, "SELECT coalesce(max(time), 0) FROM messages WHERE room = ?1"                \
                      " AND number > ?2")                                                          \
    X(CHECKPOINT_PUT, "INSERT OR REPLACE INTO checkpoints VALUES (?1,?2,?3,?4,?5,?6)")             \
    X(CHECKPOINT_GET, "SELECT room, size, time, signer, text, sig FROM checkpoints"                \
                      " WHERE room = ?1")                                                          \
    X(SIGNER_PUT, "INSERT OR IGNORE INTO signers VALUES (?1,?2,?3)")                               \
    X(SIGNER_GET, "SELECT leaf, issuer FROM signers WHERE fp = ?1")                                \
    X(INVITE_PUT, "INSERT OR REPLACE INTO invites VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")        \
    X(INVITE_GET, "SELECT " INVITE " WHERE token = ?1")                                            \
    X(INVITE_USE, "UPDATE invites SET for_user = ?3, used_at = ?8, used_key = ?9, fp = ?10"        \
                  " WHERE token = ?1 AND used_at = 0")                                             \
    X(INVITE_EACH, "SELECT " INVITE " ORDER BY made")                                              \
    X(AUDIT_ADD, "INSERT INTO audit_log VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"               \
                 " ON CONFLICT (event, reason, address, time) WHERE folded AND number IS NULL"     \
                 " DO UPDATE SET count = count + excluded.count,"                                  \
                 " account = iif(account = excluded.account, account, ''),"                        \
                 " fingerprint = iif(fingerprint = excluded.fingerprint, fingerprint, '')")        \
    X(AUDIT_OPEN, "SELECT " AUDIT " WHERE number IS NULL AND NOT (folded AND time = ?1)"           \
                  " ORDER BY time, rowid LIMIT 1")                                                 \
    X(AUDIT_CLOSE, "UPDATE audit_log SET number = ?2, sealed = ?3, nodes = ?4 WHERE rowid = ?1")   \
    X(AUDIT_EACH, "SELECT " AUDIT " WHERE time >= ?1 ORDER BY time, rowid")                        \
    X(AUDIT_RANGE, "SELECT " AUDIT " WHERE number BETWEEN ?1 AND ?2 ORDER BY number")              \
    X(AUDIT_SIZE, "SELECT coalesce(max(number), 0) FROM audit_log WHERE number IS NOT NULL")       \
    X(AUDIT_NODE, "SELECT substr(nodes, 1 + 32 * ?2, 32) FROM audit_log WHERE number = ?1"         \
                  " AND length(nodes) >= 32 * (1 + ?2)")                                           \
    X(AUDIT_LATEST, "SELECT coalesce(max(time), 0) FROM audit_log WHERE number > ?1")              \
    X(AUDIT_KNOWN, "SELECT coalesce(min(time), 0) FROM audit_log"                                  \
                   " WHERE address <> '' AND address <> sealed")                                   \
    X(AUDIT_FORGET,                                                                                \
      "UPDATE audit_log SET address = '' WHERE rowid IN (SELECT rowid FROM audit_log"              \
      " WHERE address <> '' AND address <> sealed AND time < ?1"                                   \
      " ORDER BY time LIMIT ?2)")                                                                  \
    X(AUDIT_KEY_PUT, "INSERT INTO audit_keys VALUES (?1,?2)")                                      \
    X(AUDIT_KEY_GET, "SELECT key FROM audit_keys WHERE week = ?1")                                 \
    X(AUDIT_KEY_PURGE, "DELETE FROM audit_keys WHERE week < ?1")                                   \
    X(AUDIT_SIGN, "INSERT OR REPLACE INTO audit_checkpoints VALUES (?1,?2,?3,?4,?5,?6,?7)")        \
    X(AUDIT_SIGNED, "SELECT " AUDIT_CHECKPOINT " ORDER BY day DESC LIMIT 1")                       \
    X(AUDIT_SIGNED_EACH, "SELECT " AUDIT_CHECKPOINT " ORDER BY day")

#define X(id, text) S_##id,
enum statement { STATEMENTS(X) S_COUNT };
#undef X

#define X(id, text) [S_##id] = text,
static const char *const statement_text[] = {STATEMENTS(X)};
#undef X

struct disk {
    sqlite3 *db;
    sqlite3_stmt *st[S_COUNT];
    int64_t version; /* of the data, as last seen */
};

static int disk_fail(struct disk *d, struct err *e)
{
    int code = d->db == NULL ? SQLITE_NOMEM : sqlite3_errcode(d->db);
    bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    return err_set(e,
                   damaged ? ERR_DATA
                   : busy  ? ERR_AGAIN
                           : ERR_IO,
                   damaged ? "the database is damaged (%s): bring back a copy" : "the database: %s",
                   d->db == NULL ? "no memory" : sqlite3_errmsg(d->db));
}

/* --- statements --- */

static sqlite3_stmt *stmt(struct disk *d, enum statement id)
{
    sqlite3_reset(d->st[id]);
    sqlite3_clear_bindings(d->st[id]);
    return d->st[id];
}

static void bind_bytes(sqlite3_stmt *s, int at, const void *p, size_t n)
{
    sqlite3_bind_blob64(s, at, n == 0 ? "" : p, n, SQLITE_STATIC);
}

#define BIND(s, at, x) bind_bytes((s), (at), (x).b, sizeof(x).b)

static void bind_str(sqlite3_stmt *s, int at, struct str v)
{
    sqlite3_bind_text64(s, at, v.n == 0 ? "" : v.p, v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
    bind_str(s, at, str_of(text));
}

static void bind_int(sqlite3_stmt *s, int at, int64_t v)
{
    sqlite3_bind_int64(s, at, v);
}

static void bind_u64(sqlite3_stmt *s, int at, uint64_t v)
{
    sqlite3_bind_int64(s, at, (int64_t)v);
}

static struct span col_span(sqlite3_stmt *s, int at)
{
    const void *p = sqlite3_column_blob(s, at);
    return span_of(p, (size_t)sqlite3_column_bytes(s, at));
}

static struct str col_str(sqlite3_stmt *s, int at)
{
    const void *p = sqlite3_column_text(s, at);
    return str_from(p, (size_t)sqlite3_column_bytes(s, at));
}

/* Bytes of fixed length; of any other length they count as zeros. */
static void col_bytes(sqlite3_stmt *s, int at, void *out, size_t n)
{
    struct span v = col_span(s, at);

    memset(out, 0, n);
    if (v.n == n)
        memcpy(out, v.p, n);
}

#define COL(s, at, x) col_bytes((s), (at), (x).b, sizeof(x).b)

static void col_text(sqlite3_stmt *s, int at, char *out, size_t cap)
{
    if (str_copy(out, cap, col_str(s, at)) < 0)
        out[0] = '\0';
}

static int64_t col_int(sqlite3_stmt *s, int at)
{
    return sqlite3_column_int64(s, at);
}

static uint64_t col_u64(sqlite3_stmt *s, int at)
{
    return (uint64_t)sqlite3_column_int64(s, at);
}

/* Runs a statement that gives no row. */
static int run(struct disk *d, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s);
    int ret = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : disk_fail(d, e);

    sqlite3_reset(s);
    return ret;
}

/* 1 a row, 0 none, -1. The row stays until the statement is used again. */
static int row(struct disk *d, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s);

    if (rc == SQLITE_ROW)
        return 1;
    int ret = rc == SQLITE_DONE ? 0 : disk_fail(d, e);
    sqlite3_reset(s);
    return ret;
}

/* Takes a row apart for a callback of the caller's. */
typedef int row_take(sqlite3_stmt *s, void *ctx);

static int rows(struct disk *d, sqlite3_stmt *s, row_take *take, void *ctx, struct err *e)
{
    int found = 1, rc = 0;

    while (rc == 0 && (found = row(d, s, e)) == 1)
        rc = take(s, ctx);
    sqlite3_reset(s);
    return found < 0 ? -1 : rc;
}

static int one(struct disk *d, sqlite3_stmt *s, row_take *take, void *ctx, struct err *e)
{
    int found = row(d, s, e);

    if (found == 1 && take(s, ctx) < 0)
        found = -1;
    sqlite3_reset(s);
    return found;
}

/* --- transactions --- */

static int disk_begin(void *db, struct err *e)
{
    return run(db, stmt(db, S_BEGIN), e);
}

static void disk_rollback(void *db)
{
    struct disk *d = db;
    struct err e = {0};

    if (!sqlite3_get_autocommit(d->db))
        (void)!run(d, stmt(d, S_ROLLBACK), &e);
}

/* A commit that failed may be on the disk in part: it is taken back, and nobody tries again. */
static int disk_commit(void *db, struct err *e)
{
    struct disk *d = db;

    if (run(d, stmt(d, S_COMMIT), e) == 0)
        return 0;
    disk_rollback(d);
    return -1;
}

static int disk_changed(void *db, struct err *e)
{
    struct disk *d = db;
    sqlite3_stmt *s = stmt(d, S_CHANGED);
    int found = row(d, s, e);
    int64_t version = found == 1 ? col_int(s, 0) : d->version;
    bool changed = version != d->version && d->version != 0;

    sqlite3_reset(s);
    d->version = version;
    return found < 0 ? -1 : changed;
}

/* --- users --- */

static int disk_user_put(void *db, const struct store_user *u, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_USER_PUT);

    BIND(s, 1, u->id);
    bind_text(s, 2, u->name);
    bind_text(s, 3, u->canonical);
    bind_text(s, 4, u->skeleton);
    if (u->email[0] != '\0')
        bind_text(s, 5, u->email);
    bind_bytes(s, 6, u->salt, sizeof u->salt);
    bind_u64(s, 7, u->t);
    bind_u64(s, 8, u->m);
    bind_bytes(s, 9, u->sealed, sizeof u->sealed);
    bind_int(s, 10, u->disabled);
    bind_int(s, 11, u->admin);
    bind_int(s, 12, u->since);
    return run(db, s, e);
}

static void user_of(sqlite3_stmt *s, struct store_user *u)
{
    *u = (struct store_user){.t = (uint32_t)col_u64(s, 6),
                             .m = (uint32_t)col_u64(s, 7),
                             .disabled = col_int(s, 9) != 0,
                             .admin = col_int(s, 10) != 0,
                             .since = col_int(s, 11)};
    COL(s, 0, u->id);
    col_text(s, 1, u->name, sizeof u->name);
    col_text(s, 2, u->canonical, sizeof u->canonical);
    col_text(s, 3, u->skeleton, sizeof u->skeleton);
    col_text(s, 4, u->email, sizeof u->email);
    col_bytes(s, 5, u->salt, sizeof u->salt);
    col_bytes(s, 8, u->sealed, sizeof u->sealed);
}

static int user_take(sqlite3_stmt *s, void *ctx)
{
    user_of(s, ctx);
    return 0;
}

static int disk_user_get(void *db, const struct account_id *id, struct store_user *out,
                         struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_USER_GET);
    BIND(s, 1, *id);
    return one(db, s, user_take, out, e);
}

static int disk_user_find(void *db, const char *canonical, struct store_user *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_USER_FIND);
    bind_text(s, 1, canonical);
    return one(db, s, user_take, out, e);
}

static int disk_user_like(void *db, const char *skeleton, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_USER_LIKE);
    bind_text(s, 1, skeleton);
    int found = row(db, s, e);
    sqlite3_reset(s);
    return found;
}

/* What a callback of each kind needs on its way through rows(). */
struct each {
    store_each_user *user;
    store_each_device *device;
    store_each_login *login;
    store_each_room *room;
    store_each_member *member;
    store_each_message *message;
    store_each_invite *invite;
    store_each_audit *audit;
    store_each_checkpoint *checkpoint;
    void *ctx;
};

static int user_each_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_user u;

    user_of(s, &u);
    return x->user(x->ctx, &u);
}

static int disk_user_each(void *db, store_each_user *each, void *ctx, struct err *e)
{
    return rows(db, stmt(db, S_USER_EACH), user_each_take, &(struct each){.user = each, .ctx = ctx},
                e);
}

/* --- devices --- */

static int disk_device_add(void *db, const struct store_device *v, const struct store_chain *c,
                           struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_DEVICE_ADD);

    BIND(s, 1, v->fp);
    BIND(s, 2, v->account);
    bind_text(s, 3, v->name);
    bind_int(s, 4, v->since);
    bind_int(s, 5, v->revoked);
    bind_bytes(s, 6, c->leaf, c->leaf_n);
    bind_bytes(s, 7, c->issuer, c->issuer_n);
    return run(db, s, e);
}

static int disk_device_revoke(void *db, const struct hash *fp, int64_t when, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_DEVICE_REVOKE);
    BIND(s, 1, *fp);
    bind_int(s, 2, when);
    return run(db, s, e);
}

static int chain_take(sqlite3_stmt *s, void *ctx)
{
    struct store_chain *c = ctx;
    struct span leaf = col_span(s, 0), issuer = col_span(s, 1);

    if (leaf.n > sizeof c->leaf || issuer.n > sizeof c->issuer)
        return -1;
    c->leaf_n = leaf.n;
    c->issuer_n = issuer.n;
    if (leaf.n > 0)
        memcpy(c->leaf, leaf.p, leaf.n);
    if (issuer.n > 0)
        memcpy(c->issuer, issuer.p, issuer.n);
    return 0;
}

static int disk_device_chain(void *db, const struct hash *fp, struct store_chain *out,
                             struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_DEVICE_CHAIN);
    BIND(s, 1, *fp);
    return one(db, s, chain_take, out, e);
}

static int device_each_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_device v = {.since = col_int(s, 3), .revoked = col_int(s, 4)};

    COL(s, 0, v.fp);
    COL(s, 1, v.account);
    col_text(s, 2, v.name, sizeof v.name);
    return x->device(x->ctx, &v);
}

static int disk_device_each(void *db, store_each_device *each, void *ctx, struct err *e)
{
    return rows(db, stmt(db, S_DEVICE_EACH), device_each_take,
                &(struct each){.device = each, .ctx = ctx}, e);
}

/* --- sessions --- */

static bool any(const struct hash *h)
{
    static const struct hash none = {{0}};
    return memcmp(h, &none, sizeof none) != 0;
}

static int disk_session_put(void *db, const struct store_session *v, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_PUT);

    bind_u64(s, 1, v->id);
    BIND(s, 2, v->current);
    if (any(&v->former))
        BIND(s, 3, v->former);
    BIND(s, 4, v->fp);
    BIND(s, 5, v->account);
    bind_int(s, 6, v->until);
    bind_int(s, 7, v->ended);
    return run(db, s, e);
}

static int session_take(sqlite3_stmt *s, void *ctx)
{
    struct store_session *v = ctx;

    *v =
        (struct store_session){.id = col_u64(s, 0), .until = col_int(s, 5), .ended = col_int(s, 6)};
    COL(s, 1, v->current);
    COL(s, 2, v->former);
    COL(s, 3, v->fp);
    COL(s, 4, v->account);
    return 0;
}

static int disk_session_find(void *db, const struct hash *token, struct store_session *out,
                             struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_FIND);
    BIND(s, 1, *token);
    return one(db, s, session_take, out, e);
}

static int disk_session_end(void *db, uint64_t id, int64_t when, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_END);
    bind_u64(s, 1, id);
    bind_int(s, 2, when);
    return run(db, s, e);
}

static int disk_session_delete(void *db, uint64_t id, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_DELETE);
    bind_u64(s, 1, id);
    return run(db, s, e);
}

static int disk_session_end_all(void *db, int64_t when, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_END_ALL);
    bind_int(s, 1, when);
    return run(db, s, e);
}

static int disk_session_drop(void *db, const struct hash *fp, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_DROP);
    BIND(s, 1, *fp);
    return run(db, s, e);
}

static int disk_session_purge(void *db, int64_t until, int64_t ended, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SESSION_PURGE);
    bind_int(s, 1, until);
    bind_int(s, 2, ended);
    return run(db, s, e);
}

static int head_take(sqlite3_stmt *s, void *ctx)
{
    struct hash *head = ctx;
    COL(s, 0, *head);
    return 0;
}

/* --- logins --- */

static int disk_login_put(void *db, const struct store_login *v, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_LOGIN_PUT);

    bind_bytes(s, 1, v->session, sizeof v->session);
    BIND(s, 2, v->account);
    BIND(s, 3, v->token);
    BIND(s, 4, v->fp);
    BIND(s, 5, v->relay_fp);
    bind_int(s, 6, v->started);
    bind_int(s, 7, v->ended);
    if (v->counted)
        bind_u64(s, 8, v->entries);
    if (v->has_transcript)
        BIND(s, 9, v->transcript);
    bind_text(s, 10, v->link);
    bind_text(s, 11, v->suite);
    bind_u64(s, 12, v->before);
    bind_u64(s, 13, v->after);
    return run(db, s, e);
}

static int disk_login_end(void *db, const uint8_t session[SESSION_ID_LEN], int64_t when,
                          uint64_t entries, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_LOGIN_END);

    bind_bytes(s, 1, session, SESSION_ID_LEN);
    bind_int(s, 2, when);
    bind_u64(s, 3, entries);
    return run(db, s, e);
}

static int disk_login_end_all(void *db, int64_t when, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_LOGIN_END_ALL);
    bind_int(s, 1, when);
    return run(db, s, e);
}

static void session_id_col(sqlite3_stmt *s, int i, uint8_t out[SESSION_ID_LEN])
{
    struct span id = col_span(s, i);

    if (id.n == SESSION_ID_LEN)
        memcpy(out, id.p, id.n);
}

static int login_row(sqlite3_stmt *s, void *ctx)
{
    struct store_login *v = ctx;

    *v = (struct store_login){.started = col_int(s, 5),
                              .ended = col_int(s, 6),
                              .counted = sqlite3_column_type(s, 7) != SQLITE_NULL,
                              .entries = col_u64(s, 7),
                              .has_transcript = sqlite3_column_type(s, 8) != SQLITE_NULL};
    session_id_col(s, 0, v->session);
    COL(s, 1, v->account);
    COL(s, 2, v->token);
    COL(s, 3, v->fp);
    COL(s, 4, v->relay_fp);
    if (v->has_transcript)
        COL(s, 8, v->transcript);
    col_text(s, 9, v->link, sizeof v->link);
    col_text(s, 10, v->suite, sizeof v->suite);
    v->before = col_u64(s, 11);
    v->after = col_u64(s, 12);
    return 0;
}

static int login_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_login v;

    (void)login_row(s, &v);
    return x->login(x->ctx, &v);
}

static int disk_login_each(void *db, store_each_login *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_LOGIN_EACH);
    return rows(db, s, login_take, &(struct each){.login = each, .ctx = ctx}, e);
}

static int disk_login_get(void *db, const uint8_t session[SESSION_ID_LEN], struct store_login *out,
                          struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_LOGIN_GET);
    bind_bytes(s, 1, session, SESSION_ID_LEN);
    return one(db, s, login_row, out, e);
}

static int disk_login_seal(void *db, const uint8_t session[SESSION_ID_LEN],
                           const struct hash *transcript, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_LOGIN_SEAL);
    bind_bytes(s, 1, session, SESSION_ID_LEN);
    BIND(s, 2, *transcript);
    return run(db, s, e);
}

/* --- receipts --- */

static int disk_receipt_add(void *db, const struct store_receipt *v, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_RECEIPT_ADD);

    BIND(s, 1, v->hash);
    bind_bytes(s, 2, v->session, sizeof v->session);
    BIND(s, 3, v->room);
    BIND(s, 4, v->fp);
    BIND(s, 5, v->previous);
    bind_u64(s, 6, v->last);
    bind_text(s, 7, v->text);
    bind_text(s, 8, v->client);
    bind_bytes(s, 9, v->client_sig, v->client_sig_n);
    bind_text(s, 10, v->relay);
    bind_bytes(s, 11, v->relay_sig, v->relay_sig_n);
    bind_text(s, 12, v->member);
    bind_bytes(s, 13, v->member_sig, v->member_sig_n);
    return run(db, s, e);
}

static int disk_receipt_cosign(void *db, const struct hash *hash, const char *seal, struct span sig,
                               struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_RECEIPT_COSIGN);
    BIND(s, 1, *hash);
    bind_text(s, 2, seal);
    bind_bytes(s, 3, sig.p, sig.n);
    return run(db, s, e);
}

/* How much of it there is; 0: more than fits. */
static size_t sig_col(sqlite3_stmt *s, int i, uint8_t out[SIG_MAX])
{
    struct span sig = col_span(s, i);

    if (sig.n == 0 || sig.n > SIG_MAX)
        return 0;
    memcpy(out, sig.p, sig.n);
    return sig.n;
}

static int receipt_row(sqlite3_stmt *s, void *ctx)
{
    struct store_receipt *v = ctx;

    *v = (struct store_receipt){.client_sig_n = 0};
    COL(s, 0, v->hash);
    session_id_col(s, 1, v->session);
    COL(s, 2, v->room);
    COL(s, 3, v->fp);
    COL(s, 4, v->previous);
    v->last = col_u64(s, 5);
    col_text(s, 6, v->text, sizeof v->text);
    col_text(s, 7, v->client, sizeof v->client);
    v->client_sig_n = sig_col(s, 8, v->client_sig);
    col_text(s, 9, v->relay, sizeof v->relay);
    v->relay_sig_n = sig_col(s, 10, v->relay_sig);
    col_text(s, 11, v->member, sizeof v->member);
    v->member_sig_n = sig_col(s, 12, v->member_sig);
    return 0;
}

static int disk_receipt_get(void *db, const struct hash *hash, struct store_receipt *out,
                            struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_RECEIPT_GET);
    BIND(s, 1, *hash);
    return one(db, s, receipt_row, out, e);
}

static int place_row(sqlite3_stmt *s, void *ctx)
{
    struct store_place *v = ctx;

    COL(s, 0, v->hash);
    v->last = col_u64(s, 1);
    v->taken = col_int(s, 2) != 0;
    return 0;
}

static int disk_receipt_place(void *db, const struct room_id *room, const struct hash *fp,
                              const struct hash *previous, struct store_place *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_RECEIPT_PLACE);
    BIND(s, 1, *room);
    BIND(s, 2, *fp);
    BIND(s, 3, *previous);
    return one(db, s, place_row, out, e);
}

/* --- rooms and members --- */

static int disk_room_put(void *db, const struct store_room *r, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_ROOM_PUT);

    BIND(s, 1, r->id);
    bind_text(s, 2, r->name);
    bind_text(s, 3, r->canonical);
    bind_text(s, 4, r->skeleton);
    bind_int(s, 5, r->kind);
    bind_int(s, 6, r->history);
    bind_text(s, 7, r->topic);
    bind_int(s, 8, r->since);
    return run(db, s, e);
}

static int room_each_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_room r = {.kind = (enum room_kind)col_int(s, 4),
                           .history = (enum room_history)col_int(s, 5),
                           .since = col_int(s, 7)};
    struct store_tip tip = {.number = col_u64(s, 8)};

    COL(s, 0, r.id);
    col_text(s, 1, r.name, sizeof r.name);
    col_text(s, 2, r.canonical, sizeof r.canonical);
    col_text(s, 3, r.skeleton, sizeof r.skeleton);
    col_text(s, 6, r.topic, sizeof r.topic);
    COL(s, 9, tip.head);
    return x->room(x->ctx, &r, &tip);
}

static int disk_room_each(void *db, store_each_room *each, void *ctx, struct err *e)
{
    return rows(db, stmt(db, S_ROOM_EACH), room_each_take, &(struct each){.room = each, .ctx = ctx},
                e);
}

static int disk_member_put(void *db, const struct store_member *m, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MEMBER_PUT);

    BIND(s, 1, m->room);
    BIND(s, 2, m->account);
    bind_int(s, 3, m->state);
    bind_int(s, 4, m->role);
    bind_u64(s, 5, m->from);
    bind_u64(s, 6, m->delivered);
    bind_int(s, 7, m->since);
    BIND(s, 8, m->by);
    bind_u64(s, 9, m->joined);
    return run(db, s, e);
}

static int member_each_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_member m = {.state = (enum member_state)col_int(s, 2),
                             .role = (enum member_role)col_int(s, 3),
                             .from = col_u64(s, 4),
                             .delivered = col_u64(s, 5),
                             .since = col_int(s, 6),
                             .joined = col_u64(s, 8)};

    COL(s, 0, m.room);
    COL(s, 1, m.account);
    COL(s, 7, m.by);
    return x->member(x->ctx, &m);
}

static int disk_member_each(void *db, store_each_member *each, void *ctx, struct err *e)
{
    return rows(db, stmt(db, S_MEMBER_EACH), member_each_take,
                &(struct each){.member = each, .ctx = ctx}, e);
}

/* --- messages --- */

static int disk_message_add(void *db, const struct store_message *m, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_ADD);

    BIND(s, 1, m->room);
    bind_u64(s, 2, m->number);
    bind_int(s, 3, m->time);
    BIND(s, 4, m->account);
    BIND(s, 5, m->fp);
    bind_u64(s, 6, m->seq);
    BIND(s, 7, m->head);
    bind_str(s, 8, m->line);
    bind_bytes(s, 9, m->sig.p, m->sig.n);
    if (m->why.n == 0)
        bind_bytes(s, 10, m->body.p, m->body.n);
    else
        bind_str(s, 11, m->why);
    bind_int(s, 12, m->seats);
    bind_bytes(s, 13, m->nodes.p, m->nodes.n * sizeof *m->nodes.p);
    return run(db, s, e);
}

static int message_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_message m = {.number = col_u64(s, 1),
                              .time = col_int(s, 2),
                              .seq = col_u64(s, 5),
                              .line = col_str(s, 7),
                              .sig = col_span(s, 8),
                              .body = col_span(s, 9),
                              .why = col_str(s, 10),
                              .seats = col_int(s, 11) != 0};

    COL(s, 0, m.room);
    COL(s, 3, m.account);
    COL(s, 4, m.fp);
    COL(s, 6, m.head);
    return x->message(x->ctx, &m);
}

static int disk_message_seq(void *db, const struct room_id *room, const struct hash *fp,
                            uint64_t seq, store_each_message *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_SEQ);
    BIND(s, 1, *room);
    BIND(s, 2, *fp);
    bind_u64(s, 3, seq);
    return one(db, s, message_take, &(struct each){.message = each, .ctx = ctx}, e);
}

static int disk_message_last(void *db, const struct room_id *room, const struct hash *fp,
                             store_each_message *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_LAST);
    BIND(s, 1, *room);
    BIND(s, 2, *fp);
    return one(db, s, message_take, &(struct each){.message = each, .ctx = ctx}, e);
}

static int disk_message_former(void *db, const struct room_id *room,
                               const struct account_id *account, store_each_message *each,
                               void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_FORMER);
    BIND(s, 1, *room);
    BIND(s, 2, *account);
    return rows(db, s, message_take, &(struct each){.message = each, .ctx = ctx}, e);
}

static int disk_message_head(void *db, const struct room_id *room, uint64_t number,
                             struct hash *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_HEAD);
    BIND(s, 1, *room);
    bind_u64(s, 2, number);
    return one(db, s, head_take, out, e);
}

static int count_row(sqlite3_stmt *s, void *ctx)
{
    *(uint64_t *)ctx = col_u64(s, 0);
    return 0;
}

static int disk_message_count(void *db, uint64_t *out, struct err *e)
{
    return one(db, stmt(db, S_MESSAGE_COUNT), count_row, out, e);
}

static int disk_message_place(void *db, const struct room_id *room, uint64_t number, uint64_t *out,
                              struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_PLACE);
    BIND(s, 1, *room);
    bind_u64(s, 2, number);
    return one(db, s, count_row, out, e);
}

static int disk_message_range(void *db, const struct room_id *room, uint64_t first, uint64_t last,
                              store_each_message *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, first <= last ? S_MESSAGE_UP : S_MESSAGE_DOWN);
    BIND(s, 1, *room);
    bind_u64(s, 2, first);
    bind_u64(s, 3, last);
    return rows(db, s, message_take, &(struct each){.message = each, .ctx = ctx}, e);
}

static int disk_message_seats(void *db, const struct room_id *room, uint64_t after,
                              store_each_message *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_SEATS);
    BIND(s, 1, *room);
    bind_u64(s, 2, after);
    return rows(db, s, message_take, &(struct each){.message = each, .ctx = ctx}, e);
}

/* --- trees and checkpoints --- */

static int disk_message_node(void *db, const struct room_id *room, uint64_t number, unsigned level,
                             struct hash *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_NODE);
    BIND(s, 1, *room);
    bind_u64(s, 2, number);
    bind_u64(s, 3, level);
    return one(db, s, head_take, out, e);
}

static int time_row(sqlite3_stmt *s, void *ctx)
{
    int64_t *time = ctx;
    *time = col_int(s, 0);
    return 0;
}

static int disk_message_latest(void *db, const struct room_id *room, uint64_t after, int64_t *out,
                               struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_MESSAGE_LATEST);
    BIND(s, 1, *room);
    bind_u64(s, 2, after);
    return one(db, s, time_row, out, e) < 0 ? -1 : 0;
}

static int disk_checkpoint_put(void *db, const struct store_checkpoint *c, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_CHECKPOINT_PUT);

    BIND(s, 1, c->room);
    bind_u64(s, 2, c->size);
    bind_int(s, 3, c->time);
    BIND(s, 4, c->signer);
    bind_text(s, 5, c->text);
    bind_bytes(s, 6, c->sig, c->sig_n);
    return run(db, s, e);
}

static int checkpoint_take_row(sqlite3_stmt *s, void *ctx)
{
    struct store_checkpoint *c = ctx;

    *c = (struct store_checkpoint){.size = col_u64(s, 1), .time = col_int(s, 2)};
    COL(s, 0, c->room);
    COL(s, 3, c->signer);
    col_text(s, 4, c->text, sizeof c->text);
    c->sig_n = sig_col(s, 5, c->sig);
    return 0;
}

static int disk_checkpoint_get(void *db, const struct room_id *room, struct store_checkpoint *out,
                               struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_CHECKPOINT_GET);
    BIND(s, 1, *room);
    return one(db, s, checkpoint_take_row, out, e);
}

static int disk_signer_put(void *db, const struct hash *fp, const struct store_chain *c,
                           struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SIGNER_PUT);

    BIND(s, 1, *fp);
    bind_bytes(s, 2, c->leaf, c->leaf_n);
    bind_bytes(s, 3, c->issuer, c->issuer_n);
    return run(db, s, e);
}

static int disk_signer_get(void *db, const struct hash *fp, struct store_chain *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_SIGNER_GET);
    BIND(s, 1, *fp);
    return one(db, s, chain_take, out, e);
}

/* --- invites --- */

static void invite_bind(sqlite3_stmt *s, const struct store_invite *v)
{
    BIND(s, 1, v->token);
    bind_int(s, 2, v->bound);
    BIND(s, 3, v->account);
    bind_int(s, 4, v->keep);
    bind_int(s, 5, v->admin);
    bind_int(s, 6, v->made);
    bind_int(s, 7, v->expires);
    bind_int(s, 8, v->used);
    BIND(s, 9, v->key);
    BIND(s, 10, v->fp);
}

static int disk_invite_put(void *db, const struct store_invite *v, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_INVITE_PUT);
    invite_bind(s, v);
    return run(db, s, e);
}

static int invite_take(sqlite3_stmt *s, void *ctx)
{
    struct store_invite *v = ctx;

    *v = (struct store_invite){.bound = col_int(s, 1) != 0,
                               .keep = col_int(s, 3) != 0,
                               .admin = col_int(s, 4) != 0,
                               .made = col_int(s, 5),
                               .expires = col_int(s, 6),
                               .used = col_int(s, 7)};
    COL(s, 0, v->token);
    COL(s, 2, v->account);
    COL(s, 8, v->key);
    COL(s, 9, v->fp);
    return 0;
}

static int disk_invite_get(void *db, const struct hash *token, struct store_invite *out,
                           struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_INVITE_GET);
    BIND(s, 1, *token);
    return one(db, s, invite_take, out, e);
}

static int disk_invite_use(void *db, const struct store_invite *v, struct err *e)
{
    struct disk *d = db;
    sqlite3_stmt *s = stmt(d, S_INVITE_USE);

    invite_bind(s, v);
    return run(d, s, e) < 0 ? -1 : sqlite3_changes(d->db) == 1;
}

static int invite_each_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_invite v;

    (void)invite_take(s, &v);
    return x->invite(x->ctx, &v);
}

static int disk_invite_each(void *db, store_each_invite *each, void *ctx, struct err *e)
{
    return rows(db, stmt(db, S_INVITE_EACH), invite_each_take,
                &(struct each){.invite = each, .ctx = ctx}, e);
}

/* --- audit log --- */

static void audit_bind_number(sqlite3_stmt *s, int at, const struct store_audit *a)
{
    if (a->number == 0)
        return;
    bind_u64(s, at, a->number);
    bind_str(s, at + 1, a->sealed);
    bind_bytes(s, at + 2, a->nodes.p, a->nodes.n * sizeof *a->nodes.p);
}

static int disk_audit_add(void *db, const struct store_audit *a, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_ADD);

    bind_str(s, 1, a->event);
    bind_str(s, 2, a->account);
    bind_str(s, 3, a->fp);
    bind_str(s, 4, a->reason);
    bind_str(s, 5, a->address);
    bind_int(s, 6, a->folded ? a->time - a->time % AUDIT_SPAN_MS : a->time);
    bind_u64(s, 7, a->count);
    bind_int(s, 8, a->folded);
    audit_bind_number(s, 9, a);
    return run(db, s, e);
}

static int disk_audit_close(void *db, const struct store_audit *a, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_CLOSE);

    bind_int(s, 1, a->row);
    audit_bind_number(s, 2, a);
    return run(db, s, e);
}

static int audit_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct span nodes = col_span(s, 10);
    struct store_audit a = {.event = col_str(s, 0),
                            .account = col_str(s, 1),
                            .fp = col_str(s, 2),
                            .reason = col_str(s, 3),
                            .address = col_str(s, 4),
                            .time = col_int(s, 5),
                            .count = col_u64(s, 6),
                            .folded = col_int(s, 7) != 0,
                            .number = col_u64(s, 8),
                            .sealed = col_str(s, 9),
                            .nodes = {(const struct hash *)nodes.p, nodes.n / HASH_LEN},
                            .row = col_int(s, 11)};
    return x->audit(x->ctx, &a);
}

static int disk_audit_open(void *db, int64_t minute, store_each_audit *each, void *ctx,
                           struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_OPEN);
    bind_int(s, 1, minute);
    return one(db, s, audit_take, &(struct each){.audit = each, .ctx = ctx}, e);
}

static int disk_audit_each(void *db, int64_t since, store_each_audit *each, void *ctx,
                           struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_EACH);
    bind_int(s, 1, since);
    return rows(db, s, audit_take, &(struct each){.audit = each, .ctx = ctx}, e);
}

static int disk_audit_range(void *db, uint64_t first, uint64_t last, store_each_audit *each,
                            void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_RANGE);
    bind_u64(s, 1, first);
    bind_u64(s, 2, last);
    return rows(db, s, audit_take, &(struct each){.audit = each, .ctx = ctx}, e);
}

static int disk_audit_size(void *db, uint64_t *out, struct err *e)
{
    return one(db, stmt(db, S_AUDIT_SIZE), count_row, out, e) < 0 ? -1 : 0;
}

static int disk_audit_node(void *db, uint64_t number, unsigned level, struct hash *out,
                           struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_NODE);
    bind_u64(s, 1, number);
    bind_u64(s, 2, level);
    return one(db, s, head_take, out, e);
}

static int disk_audit_latest(void *db, uint64_t after, int64_t *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_LATEST);
    bind_u64(s, 1, after);
    return one(db, s, time_row, out, e) < 0 ? -1 : 0;
}

static int disk_audit_known(void *db, int64_t *out, struct err *e)
{
    return one(db, stmt(db, S_AUDIT_KNOWN), time_row, out, e) < 0 ? -1 : 0;
}

static int disk_audit_forget(void *db, int64_t before, uint64_t most, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_FORGET);
    bind_int(s, 1, before);
    bind_u64(s, 2, most);
    return run(db, s, e);
}

static int disk_audit_key_put(void *db, int64_t week, const struct key *key, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_KEY_PUT);
    bind_int(s, 1, week);
    BIND(s, 2, *key);
    return run(db, s, e);
}

static int key_take(sqlite3_stmt *s, void *ctx)
{
    struct key *key = ctx;
    COL(s, 0, *key);
    return 0;
}

static int disk_audit_key_get(void *db, int64_t week, struct key *out, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_KEY_GET);
    bind_int(s, 1, week);
    return one(db, s, key_take, out, e);
}

static int disk_audit_key_purge(void *db, int64_t week, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_KEY_PURGE);
    bind_int(s, 1, week);
    return run(db, s, e);
}

static int disk_audit_sign(void *db, const struct store_checkpoint *c, struct err *e)
{
    sqlite3_stmt *s = stmt(db, S_AUDIT_SIGN);

    bind_int(s, 1, c->time / DAY_MS);
    BIND(s, 2, c->room);
    bind_u64(s, 3, c->size);
    bind_int(s, 4, c->time);
    BIND(s, 5, c->signer);
    bind_text(s, 6, c->text);
    bind_bytes(s, 7, c->sig, c->sig_n);
    return run(db, s, e);
}

static int disk_audit_signed(void *db, struct store_checkpoint *out, struct err *e)
{
    return one(db, stmt(db, S_AUDIT_SIGNED), checkpoint_take_row, out, e);
}

static int signed_take(sqlite3_stmt *s, void *ctx)
{
    struct each *x = ctx;
    struct store_checkpoint c;

    (void)checkpoint_take_row(s, &c);
    return x->checkpoint(x->ctx, &c);
}

static int disk_audit_signed_each(void *db, store_each_checkpoint *each, void *ctx, struct err *e)
{
    return rows(db, stmt(db, S_AUDIT_SIGNED_EACH), signed_take,
                &(struct each){.checkpoint = each, .ctx = ctx}, e);
}

/* --- opening --- */

static void disk_close(void *db)
{
    struct disk *d = db;

    if (d == NULL)
        return;
    for (size_t i = 0; i < S_COUNT; i++)
        sqlite3_finalize(d->st[i]);
    sqlite3_close(d->db);
    free(d);
}

static bool beside(const char *path, const char *suffix)
{
    char name[4096];
    struct stat st;
    int n = snprintf(name, sizeof name, "%s%s", path, suffix);
    return n > 0 && (size_t)n < sizeof name && lstat(name, &st) == 0;
}

/* The file exists with 0600 before SQLite opens it; its -wal and -shm take the same mode. */
static int file_new(const char *path, struct err *e)
{
    if (beside(path, "-wal") || beside(path, "-journal"))
        return err_set(e, ERR_DATA, "%s: a journal of a lost database lies beside it", path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_CREATE, "%s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

static int file_there(const char *path, struct err *e)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "%s is no regular file", path);
    if (st.st_size == 0)
        return err_set(e, ERR_DATA, "%s is empty: the database is lost, bring back a copy", path);
    if ((st.st_mode & 077) != 0)
        return err_set(e, ERR_CONFIG, "%s may be read by others: chmod 600 %s", path, path);
    return 0;
}

static int exec(struct disk *d, const char *text, struct err *e)
{
    return sqlite3_exec(d->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : disk_fail(d, e);
}

static int number(struct disk *d, const char *text, int64_t *out, struct err *e)
{
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(d->db, text, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        *out = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        return 0;
    }
    int rc = disk_fail(d, e);
    sqlite3_finalize(s);
    return rc;
}

/* Everything SQLite can find without reading the whole file's contents against the indices. It
 * reads every page: for who serves from it, not for each command beside a relay. */
static int quick_check(struct disk *d, const char *path, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int ret = -1;

    if (sqlite3_prepare_v2(d->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW)
        ret = disk_fail(d, e);
    else if (str_is(col_str(s, 0), "ok"))
        ret = 0;
    else
        err_set(e, ERR_DATA, "%s is damaged: bring back a copy", path);
    sqlite3_finalize(s);
    return ret;
}

/* The trees of rooms that are older than trees: entry by entry, as if it came now. */
static int nodes_walk(struct disk *d, sqlite3_stmt *read, sqlite3_stmt *write, struct err *e)
{
    struct room_id room = {{0}}, next = {{0}};
    struct tree t = {0};
    int found;

    while ((found = row(d, read, e)) == 1) {
        struct hash nodes[TREE_LEVELS + 1];
        struct tree_done done;

        COL(read, 1, next);
        if (memcmp(next.b, room.b, sizeof room.b) != 0)
            t = (struct tree){0};
        room = next;
        transcript_leaf(&nodes[0], col_str(read, 2), col_int(read, 3));
        tree_add(&t, &nodes[0], &done);
        memcpy(nodes + 1, done.p, done.n * sizeof done.p[0]);
        bind_bytes(write, 1, nodes, (1 + done.n) * sizeof nodes[0]);
        bind_int(write, 2, col_int(read, 0));
        if (run(d, write, e) < 0)
            return -1;
    }
    return found;
}

static int nodes_fill(struct disk *d, struct err *e)
{
    sqlite3_stmt *read = NULL, *write = NULL;
    int ret = -1;

    if (sqlite3_prepare_v2(d->db,
                           "SELECT rowid, room, line, time FROM messages ORDER BY room, number", -1,
                           &read, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(d->db, "UPDATE messages SET nodes = ?1 WHERE rowid = ?2", -1, &write,
                           NULL) != SQLITE_OK)
        disk_fail(d, e);
    else
        ret = nodes_walk(d, read, write, e);
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return ret;
}

static int migrate(struct disk *d, int64_t from, struct err *e)
{
    char text[64];

    if (exec(d, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    for (int64_t v = from; v < STORE_VERSION; v++)
        if (exec(d, migrations[v], e) < 0 || (v == STORE_TREES && nodes_fill(d, e) < 0))
            return -1;
    snprintf(text, sizeof text, "PRAGMA user_version = %d", (int)STORE_VERSION);
    if (exec(d, text, e) < 0)
        return -1;
    snprintf(text, sizeof text, "PRAGMA application_id = %d", (int)STORE_APPLICATION);
    return exec(d, text, e) < 0 || exec(d, "COMMIT", e) < 0 ? -1 : 0;
}

static int schema_ready(struct disk *d, const char *path, enum store_open how, struct err *e)
{
    int64_t app, version;

    if (number(d, "PRAGMA application_id", &app, e) < 0 ||
        number(d, "PRAGMA user_version", &version, e) < 0)
        return err_in(e, "%s", path);
    if (how == STORE_CREATE)
        return migrate(d, 0, e);
    if (app != STORE_APPLICATION || version < 1)
        return err_set(e, ERR_DATA, "%s is a database of another program: move it away", path);
    if (version > STORE_VERSION)
        return err_set(e, ERR_DATA, "%s was written by a newer countersignd: upgrade", path);
    if (how != STORE_BESIDE && quick_check(d, path, e) < 0)
        return -1;
    if (version < STORE_VERSION && how == STORE_CHECK)
        return err_set(e, ERR_DATA, "%s is of an older version: countersignd run renews it", path);
    return version < STORE_VERSION ? migrate(d, version, e) : 0;
}

/* Where SQLite cannot have its log, a commit would not be what we promise. */
static int durable(struct disk *d, const char *path, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int ret = -1;

    if (sqlite3_prepare_v2(d->db, "PRAGMA journal_mode = WAL", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW)
        ret = disk_fail(d, e);
    else if (str_is(col_str(s, 0), "wal"))
        ret = 0;
    else
        err_set(e, ERR_IO, "%s: no write-ahead log is possible on this file system", path);
    sqlite3_finalize(s);
    return ret < 0 ? -1 : exec(d, "PRAGMA synchronous = FULL", e);
}

static int disk_prepare(struct disk *d, struct err *e)
{
    for (size_t i = 0; i < S_COUNT; i++)
        if (sqlite3_prepare_v3(d->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT, &d->st[i],
                               NULL) != SQLITE_OK)
            return disk_fail(d, e);
    return disk_changed(d, e) < 0 ? -1 : 0;
}

static int disk_open(struct disk *d, const char *path, enum store_open how, struct err *e)
{
    int flags = how == STORE_CHECK ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;

    if (sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK) {
        disk_fail(d, e);
        return err_in(e, "%s", path);
    }
    sqlite3_busy_timeout(d->db, BUSY_MS);
    if (exec(d, "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON",
             e) < 0 ||
        schema_ready(d, path, how, e) < 0)
        return -1;
    if (how != STORE_CHECK && durable(d, path, e) < 0)
        return -1;
    return disk_prepare(d, e);
}

void *store_sqlite_open(const char *path, enum store_open how, struct err *e)
{
    if ((how == STORE_CREATE ? file_new(path, e) : file_there(path, e)) < 0)
        return NULL;
    struct disk *d = calloc(1, sizeof *d);
    if (d == NULL) {
        err_set(e, ERR_LOCAL, "no memory");
        return NULL;
    }
    if (disk_open(d, path, how, e) == 0)
        return d;
    disk_close(d);
    if (how == STORE_CREATE)
        (void)unlink(path); /* made by us a moment ago */
    return NULL;
}

const struct store_ops store_sqlite = {
    .name = "sqlite",
    .close = disk_close,
    .begin = disk_begin,
    .commit = disk_commit,
    .rollback = disk_rollback,
    .changed = disk_changed,
    .user_put = disk_user_put,
    .user_get = disk_user_get,
    .user_find = disk_user_find,
    .user_like = disk_user_like,
    .user_each = disk_user_each,
    .device_add = disk_device_add,
    .device_revoke = disk_device_revoke,
    .device_chain = disk_device_chain,
    .device_each = disk_device_each,
    .session_put = disk_session_put,
    .session_find = disk_session_find,
    .session_end = disk_session_end,
    .session_delete = disk_session_delete,
    .session_end_all = disk_session_end_all,
    .session_drop = disk_session_drop,
    .session_purge = disk_session_purge,
    .login_put = disk_login_put,
    .login_end = disk_login_end,
    .login_end_all = disk_login_end_all,
    .login_each = disk_login_each,
    .login_get = disk_login_get,
    .login_seal = disk_login_seal,
    .receipt_add = disk_receipt_add,
    .receipt_get = disk_receipt_get,
    .receipt_cosign = disk_receipt_cosign,
    .receipt_place = disk_receipt_place,
    .room_put = disk_room_put,
    .room_each = disk_room_each,
    .member_put = disk_member_put,
    .member_each = disk_member_each,
    .message_add = disk_message_add,
    .message_seq = disk_message_seq,
    .message_last = disk_message_last,
    .message_former = disk_message_former,
    .message_head = disk_message_head,
    .message_count = disk_message_count,
    .message_place = disk_message_place,
    .message_range = disk_message_range,
    .message_seats = disk_message_seats,
    .message_node = disk_message_node,
    .message_latest = disk_message_latest,
    .checkpoint_put = disk_checkpoint_put,
    .checkpoint_get = disk_checkpoint_get,
    .signer_put = disk_signer_put,
    .signer_get = disk_signer_get,
    .invite_put = disk_invite_put,
    .invite_get = disk_invite_get,
    .invite_use = disk_invite_use,
    .invite_each = disk_invite_each,
    .audit_add = disk_audit_add,
    .audit_each = disk_audit_each,
    .audit_open = disk_audit_open,
    .audit_close = disk_audit_close,
    .audit_range = disk_audit_range,
    .audit_size = disk_audit_size,
    .audit_node = disk_audit_node,
    .audit_latest = disk_audit_latest,
    .audit_known = disk_audit_known,
    .audit_forget = disk_audit_forget,
    .audit_key_put = disk_audit_key_put,
    .audit_key_get = disk_audit_key_get,
    .audit_key_purge = disk_audit_key_purge,
    .audit_sign = disk_audit_sign,
    .audit_signed = disk_audit_signed,
    .audit_signed_each = disk_audit_signed_each,
};
