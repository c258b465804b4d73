/* hub_exits.h - the codes with which `millrace-hub` ends (hub_exits.def). */
#ifndef MR_HUB_HUB_EXITS_H
#define MR_HUB_HUB_EXITS_H

enum mr_hub_exit {
#define MR_HUB_EXIT(name, code, sentence) MR_HUB_EXIT_##name = (code),
#include "appliance/hub/hub_exits.def"
};

#endif
