// Where the guest's init program is on this machine.
#pragma once
#include <string>

#include "base/result.h"

namespace adyton::image {

// $ADYTON_INIT when set; else share/adyton/init beside the running program's bin directory: <build>/bin/adyton finds
// <build>/share/adyton/init, and <prefix>/bin/adyton finds <prefix>/share/adyton/init.
Result<std::string> find_init();

}  // namespace adyton::image
