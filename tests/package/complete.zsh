# complete.zsh FOLDER FILE LINE: a zsh on a terminal of its own is given the line and the Tab key; what its completion
# adds to the list is written to FILE; FILE.dump spares the next call to look for all completions there are.
zmodload zsh/zpty
: >$2
zpty shell "zsh -f -i"
zpty -w shell "PS1=; fpath=(${(q)1} \$fpath); autoload -Uz compinit && compinit -u -d ${(q)2}.dump"
zpty -w shell 'compadd() {
    local -a offered; builtin compadd -O offered "$@"; print -rl -- $offered >>'${(q)2}'; builtin compadd "$@"
}'
zpty -w shell 'zle-line-init() { print -rn "the editor is re""ady" }; zle -N zle-line-init; bindkey "^I" complete-word'
zpty -r shell said '*the editor is ready*' # before that a Tab is no key
zpty -w -n shell "$3"$'\t'
zpty -w shell $'\x15print en""ded'
zpty -r shell said '*ended*'
zpty -d shell
