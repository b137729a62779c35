# find_package(adyton_payload), with the toolchain file for guests: adyton::payload, what a payload links, and adyton_guest_packages(), which
# brings Debian's libraries for arm64.
get_filename_component(_adyton_guest "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET adyton::payload)
  find_package(Threads REQUIRED)
  add_library(adyton::payload STATIC IMPORTED)
  set_target_properties(adyton::payload PROPERTIES
    IMPORTED_LOCATION "${_adyton_guest}/lib/libadyton_payload.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_adyton_guest}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_23
    INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()
include("${_adyton_guest}/../cmake/AdytonGuestPackages.cmake")
unset(_adyton_guest)
