# Debian's arm64 packages for programs that run in virtual machines. find_package(adyton_payload) brings this.
#
# adyton_guest_packages([SUITE name] package...)
#
# Makes the packages, and all they depend on, available to the targets of this folder and below: find_package, find_library and
# pkg_check_modules look there from now on, compilers find the headers, `target_link_libraries(... ssl)` the libraries. It fetches them while
# CMake configures, the first time: signatures checked, nothing on this machine changed, no root needed (guest-packages, beside this file,
# says how); later and in other build folders the network is not needed. A program that links them dynamically gets a RUNPATH into the
# build folder, by which `adyton run` finds what has to go with it.
function(adyton_guest_packages)
  cmake_parse_arguments(ARG "" "SUITE" "" ${ARGN})
  if(NOT ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "adyton_guest_packages: no package is named")
  endif()
  if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    message(FATAL_ERROR "adyton_guest_packages: this project is not for arm64; configure it with Adyton's guest-toolchain.cmake")
  endif()
  if(NOT ARG_SUITE)
    set(ARG_SUITE bookworm)
  endif()
  set(packages ${ARG_UNPARSED_ARGUMENTS})
  list(SORT packages)
  string(MD5 key "${ARG_SUITE} ${packages}")
  string(SUBSTRING ${key} 0 8 key)
  set(sysroot ${CMAKE_BINARY_DIR}/guest-packages/${key})
  execute_process(
    COMMAND ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/guest-packages --suite ${ARG_SUITE} ${sysroot} ${packages}
    RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "adyton_guest_packages: ${packages} cannot be fetched; the reason is above")
  endif()

  set(libraries ${sysroot}/usr/lib/aarch64-linux-gnu)
  set(CMAKE_FIND_ROOT_PATH ${CMAKE_FIND_ROOT_PATH} ${sysroot} PARENT_SCOPE)
  include_directories(SYSTEM AFTER ${sysroot}/usr/include ${sysroot}/usr/include/aarch64-linux-gnu)
  link_directories(AFTER ${libraries})
  add_link_options(-Wl,-rpath-link,${libraries})
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})
  set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/pkgconfig:${sysroot}/usr/share/pkgconfig:$ENV{PKG_CONFIG_LIBDIR})
endfunction()
