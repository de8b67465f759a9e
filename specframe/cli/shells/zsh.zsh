#compdef specframe
# Completion of specframe for zsh; written by: specframe --show-completion zsh
_specframe_completion() {
    local -a replies open closed
    local reply value help entry
    replies=("${(@f)$(
        _SPECFRAME_COMPLETE=zsh _SPECFRAME_LINE="${(j: :)words[1,CURRENT]}" ${(Q)words[1]} 2>/dev/null
    )}")
    for reply in $replies; do
        value=${reply%%$'\t'*}
        help=${reply#*$'\t'}
        entry="${value//:/\\:}${help:+:$help}"
        if [[ $value == *[=.:,] ]]; then open+=("$entry"); else closed+=("$entry"); fi
    done
    (( $#open )) && _describe -V option open -S ''
    (( $#closed )) && _describe -V value closed
    (( $#open + $#closed )) || _files
}

# Loaded on the first TAB, this file is the function itself, and has a question to answer.
compdef _specframe_completion specframe
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _specframe_completion "$@"
fi
