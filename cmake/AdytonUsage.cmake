# adyton_usage(PROGRAM SECTION GENERATOR)
#
# The man page and the completion scripts of a program, written by GENERATOR, a program of the build that calls usage::write_files()
# (base/usage) for the folder it is given; and where they are installed.
function(adyton_usage program section generator)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/usage/${program})
  add_custom_command(OUTPUT ${folder}/stamp
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${generator} ${folder}
    COMMAND ${CMAKE_COMMAND} -E touch ${folder}/stamp
    DEPENDS ${generator} COMMENT "Writing the man page and completion scripts of ${program}" VERBATIM)
  add_custom_target(${program}_usage ALL DEPENDS ${folder}/stamp)
  install(FILES ${folder}/${program}.${section} DESTINATION share/man/man${section})
  install(FILES ${folder}/bash DESTINATION share/bash-completion/completions RENAME ${program})
  install(FILES ${folder}/zsh DESTINATION share/zsh/vendor-completions RENAME _${program})
  install(FILES ${folder}/fish DESTINATION share/fish/vendor_completions.d RENAME ${program}.fish)
endfunction()
