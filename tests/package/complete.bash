# complete.bash FILE LINE: what bash offers for the line with the completion of FILE.
# bash cuts a line at blanks and at the signs in COMP_WORDBREAKS, "=" and ":" among them, which are words then.
. "$1"
line=$2
read -r -a blanks <<<"$line"
[[ $line != *' ' ]] || blanks+=('')
COMP_WORDS=()
for word in "${blanks[@]}"; do
    while [[ $word == *[=:]* ]]; do
        sign=${word#"${word%%[=:]*}"}
        [[ -z ${word%%[=:]*} ]] || COMP_WORDS+=("${word%%[=:]*}")
        COMP_WORDS+=("${sign:0:1}")
        word=${sign:1}
        [[ -n $word ]] || break
    done
    [[ -z $word && $line != *' ' ]] || COMP_WORDS+=("$word")
done
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
specification=$(complete -p "${COMP_WORDS[0]}") # as bash finds it: complete -F FUNCTION NAME
read -r -a specification <<<"$specification"
"${specification[-2]}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
