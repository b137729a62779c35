# `cpack` in the build folder makes adyton_VERSION_ARCH.deb.
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/doc/adyton)

# What the program runs to prepare guest images: the group `run` of scripts/packages.txt.
file(STRINGS ${PROJECT_SOURCE_DIR}/scripts/packages.txt run_lines REGEX "^run[ \t]")
list(TRANSFORM run_lines REPLACE "^run[ \t]+([^ \t#]+).*" "\\1")
list(JOIN run_lines ", " run_packages)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME adyton)
set(CPACK_PACKAGE_CONTACT "The Adyton maintainers <maintainers@adyton.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "run programs and systems in virtual machines, also without KVM")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Adyton starts virtual machines as easily as processes: 'adyton run PROGRAM'
runs an AArch64 program in a VM with an unmodified Debian kernel, on a
multi-threaded dynamic binary translator of its own. It needs no root, no
daemon and no KVM.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION otherosfs)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "${run_packages}")
# dpkg-shlibdeps (package dpkg-dev) adds the shared libraries.
find_program(ADYTON_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(ADYTON_SHLIBDEPS)
if(ADYTON_SHLIBDEPS)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_ADYTON_SHLIBDEPS ${CMAKE_CURRENT_LIST_DIR}/shlibdeps.sh)
  set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_LIST_DIR}/CPackProject.cmake)
endif()
include(CPack)
