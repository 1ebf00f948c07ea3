#include "client/lab_scene.h"

#define X(id, name, does, classic_loses) {name, does, classic_loses},
static const struct {
    const char *name, *does;
    bool classic_loses;
} attacks[] = {LAB_ATTACKS(X)};
#undef X

static int (*const runs[LAB_ATTACK_COUNT])(const struct lab *lab, enum link_kind kind,
                                           struct lab_outcome *out, struct err *e) = {
    [LAB_MITM] = lab_mitm,       [LAB_DOWNGRADE] = lab_downgrade,   [LAB_REPLAY] = lab_replay,
    [LAB_TAMPER] = lab_tamper,   [LAB_REFLECT] = lab_reflect,       [LAB_TRUNCATE] = lab_truncate,
    [LAB_REORDER] = lab_reorder, [LAB_STOLEN_KEY] = lab_stolen_key,
};

const char *lab_attack_name(enum lab_attack a)
{
    return attacks[a].name;
}

const char *lab_attack_does(enum lab_attack a)
{
    return attacks[a].does;
}

int lab_attack_take(struct str name, enum lab_attack *a)
{
    for (enum lab_attack i = 0; i < LAB_ATTACK_COUNT; i++)
        if (str_is(name, attacks[i].name)) {
            *a = i;
            return 0;
        }
    return -1;
}

bool lab_expects(enum lab_attack a, enum link_kind kind)
{
    return kind == LINK_CLASSIC && attacks[a].classic_loses;
}

int lab_run(const struct lab *lab, enum lab_attack a, enum link_kind kind, struct lab_outcome *out,
            struct err *e)
{
    *out = (struct lab_outcome){.won = false};
    return runs[a](lab, kind, out, e);
}
