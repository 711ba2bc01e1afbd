// CYaml: the one header through which Swift sees libyaml.
// Owns: the include of yaml.h.
// Never: declares or defines anything of its own.
// On failure: the build stops with "yaml.h not found"; install libyaml-dev.
// (libyaml 0.2.5 is the version it is tested with.)
#ifndef BOBBIN_CYAML_SHIM_H
#define BOBBIN_CYAML_SHIM_H
#include <yaml.h>
#endif
