# Manual pages and shell completions, made while building out of each program's own --help (scripts/pages).

set(PAGES ${CMAKE_SOURCE_DIR}/scripts/pages)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# Where the shells look below this prefix; zsh has a place of its own for what a distribution ships.
set(COMPLETIONS_bash ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
set(COMPLETIONS_zsh ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(COMPLETIONS_zsh ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
endif()
set(COMPLETIONS_fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# probed_manual(PROGRAM PAGE…): man/PAGE.in with what PROGRAM says of itself; PAGE ends with its section
function(probed_manual program)
  foreach(page ${ARGN})
    string(REGEX MATCH "[1-9]$" section ${page})
    set(template ${CMAKE_CURRENT_SOURCE_DIR}/man/${page}.in)
    set(made ${CMAKE_BINARY_DIR}/man/man${section}/${page})
    add_custom_command(OUTPUT ${made}
      COMMAND Python3::Interpreter ${PAGES} manual $<TARGET_FILE:${program}> ${template} ${made}
      DEPENDS ${PAGES} ${program} ${template} VERBATIM COMMENT "Making ${page}")
    add_custom_target(manual-${page} ALL DEPENDS ${made})
    install(FILES ${made} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
endfunction()

# probed_completions(PROGRAM): for bash, zsh and fish; for programs that a person calls
function(probed_completions program)
  set(folder ${CMAKE_BINARY_DIR}/completions)
  set(made ${folder}/bash/${program} ${folder}/zsh/_${program} ${folder}/fish/${program}.fish)
  add_custom_command(OUTPUT ${made}
    COMMAND Python3::Interpreter ${PAGES} complete $<TARGET_FILE:${program}> ${folder}
      --providers $<TARGET_FILE:probe-worker>
    DEPENDS ${PAGES} ${program} probe-worker VERBATIM COMMENT "Making completions of ${program}")
  add_custom_target(completions-${program} ALL DEPENDS ${made})
  set(shells bash zsh fish)
  foreach(shell file IN ZIP_LISTS shells made)
    install(FILES ${file} DESTINATION ${COMPLETIONS_${shell}})
  endforeach()
endfunction()
