// All of the C++ API. For C see adyton/virtualization.h.
#pragma once
#include "adyton/capabilities.h"
#include "adyton/virtual_machine.h"
#include "adyton/virtual_machine_config.h"
#include "adyton/virtual_machine_manager.h"
#include "adyton/service_statistics.h"
#include "adyton/virtual_machine_statistics.h"
