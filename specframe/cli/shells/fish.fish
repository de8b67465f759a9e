# Completion of specframe for fish; written by: specframe --show-completion fish
function __specframe_completion
    set -lx _SPECFRAME_COMPLETE fish
    set -lx _SPECFRAME_LINE (commandline -cp | string collect)
    set -l replies (command specframe 2>/dev/null)
    if test (count $replies) -eq 0
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $replies
    end
end

complete --command specframe --no-files --keep-order --arguments '(__specframe_completion)'
