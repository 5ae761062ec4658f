# Run by CPack before it packs: strips as Debian does, and compresses manual pages and changelogs, as Debian wants.
set(tree ${CPACK_TEMPORARY_INSTALL_DIRECTORY})

file(GLOB_RECURSE programs ${tree}/*/usr/bin/* ${tree}/*/usr/lib/*.so.*.*)
execute_process(COMMAND strip --remove-section=.comment --remove-section=.note ${programs} COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE archives ${tree}/*/usr/lib/*.a)
execute_process(COMMAND strip --strip-debug --remove-section=.comment --enable-deterministic-archives ${archives}
  COMMAND_ERROR_IS_FATAL ANY)

file(GLOB_RECURSE pages ${tree}/*/usr/share/man/*.[1-9] ${tree}/*/usr/share/doc/*/changelog)
execute_process(COMMAND gzip -9n ${pages} COMMAND_ERROR_IS_FATAL ANY)
